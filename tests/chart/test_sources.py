"""Weights that no Job downloads: on a claim, in an image, on volumes of the operator's own."""

import re
from typing import Any

import pytest
import yaml

from chart.rendering import (
    CHART,
    SINGLE_NODE,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    of_kind,
    render,
)
from chart.validation import validate

ID = "Qwen/Qwen2.5-0.5B-Instruct"
CLAIM: Json = {"claim": "weights", "path": "qwen/0.5b"}
IMAGE: Json = {"image": "registry.example.com/weights/qwen:1", "path": "model"}
OWN: Json = {"path": "/own/qwen"}
NEWEST = "1.37"
"""Has image volumes, as the validated types do."""


def values(source: Json | None, **model: Any) -> Json:
    entry = {"id": ID, "profile": "cpu", **model}
    return {"models": {"q": entry if source is None else {**entry, "source": source}}}


def pod(objects: list[Json]) -> Json:
    found: Json = named(objects, "Deployment", "sizeup-q")["spec"]["template"]
    return found


@pytest.mark.parametrize(
    ("source", "folder", "volume"),
    [
        (
            CLAIM,
            "/weights/qwen/0.5b",
            {"persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},
        ),
        (
            {"claim": "weights"},
            "/weights",
            {"persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},
        ),
        (
            IMAGE,
            "/weights/model",
            {"image": {"reference": IMAGE["image"], "pullPolicy": "IfNotPresent"}},
        ),
        (
            {**IMAGE, "pullPolicy": "Never"},
            "/weights/model",
            {"image": {"reference": IMAGE["image"], "pullPolicy": "Never"}},
        ),
        (OWN, "/own/qwen", None),
    ],
    ids=str,
)
def test_both_containers_read_the_folder(source: Json, folder: str, volume: Json | None) -> None:
    found = pod(render(values(source), kube_version=NEWEST))
    volumes = {v.pop("name"): v for v in found["spec"]["volumes"]}
    assert volumes.get("weights") == volume
    assert "models" not in volumes
    wait, inference = containers(found)
    assert wait["name"] == "wait"
    for container in (wait, inference):
        variables = environment(container)
        assert variables["SIZEUP_INFERENCE_MODEL"] == folder
        assert variables["SIZEUP_INFERENCE_MODEL_ID"] == ID
        mounts = [m for m in container["volumeMounts"] if m["name"] == "weights"]
        expected = [{"name": "weights", "mountPath": "/weights", "readOnly": True}]
        assert mounts == (expected if volume else [])


@pytest.mark.parametrize("source", [CLAIM, IMAGE], ids=str)
@pytest.mark.parametrize("cache", [{}, {"mode": "ephemeral"}, {"mode": "perModel"}], ids=str)
def test_a_source_needs_no_cache_and_no_download(source: Json, cache: Json) -> None:
    gpu = values(source, profile="gpu-24g", maxModelLen=4096)
    objects = render(merge(gpu, {"modelCache": cache}), kube_version=NEWEST)
    assert of_kind(objects, "Job", "PersistentVolumeClaim") == []
    assert "paused" not in named(objects, "Deployment", "sizeup-q")["spec"]
    assert [c["name"] for c in containers(pod(objects))] == ["wait", "inference"]
    for one in objects:
        validate(one, "1.34")


def test_models_of_both_kinds_share_no_placement() -> None:
    """The rules of a single-node cache volume are for the models that it holds."""
    other = {"id": "Qwen/Qwen2.5-1.5B-Instruct", "profile": "cpu", "nodeSelector": {"a": "b"}}
    mixed = merge(merge(values(CLAIM), {"models": {"other": other}}), SINGLE_NODE)
    objects = render(mixed)
    assert len(of_kind(objects, "Job")) == 1
    assert "affinity" not in pod(objects)["spec"]


def test_volumes_of_the_operators_own_are_mounted_in_both_containers() -> None:
    fetch = {
        "name": "fetch",
        "image": "fetch",
        "volumeMounts": [{"name": "own", "mountPath": "/own"}],
    }
    mount = {"name": "own", "mountPath": "/own", "readOnly": True}
    more = {
        "initContainers": [fetch],
        "extraVolumes": [{"name": "own", "emptyDir": {}}],
        "extraVolumeMounts": [mount],
    }
    found = pod(render(values(OWN, **more)))
    first, *others = containers(found)
    assert first == fetch
    assert [c["name"] for c in others if mount in c["volumeMounts"]] == ["wait", "inference"]


@pytest.mark.parametrize(
    "source",
    [
        {"claim": ""},
        {**CLAIM, **IMAGE},
        {"path": "relative"},
        {"claim": "weights", "path": "/absolute"},
        {"claim": "weights", "path": "../outside"},
        {"path": "/a/../outside"},
        {"image": "with a space"},
        {"url": "s3://bucket"},
    ],
    ids=str,
)
def test_a_source_that_names_no_folder_is_rejected(source: Json) -> None:
    with pytest.raises(RenderError, match="source"):
        render(values(source), kube_version=NEWEST)


@pytest.mark.parametrize("version", ["1.30", "1.31", "1.32"])
def test_image_volumes_require_a_version_that_has_them(version: str) -> None:
    with pytest.raises(RenderError, match=r"source\.image.*claim"):
        render(values(IMAGE), kube_version=version)
    assert render(values(CLAIM), kube_version=version)


@pytest.mark.parametrize("owner", ["q", "d"])
def test_a_draft_needs_both_models_in_the_cache(owner: str) -> None:
    draft = {"id": ID, "profile": "cpu"}
    models = {"q": {"id": "Qwen/Qwen2.5-1.5B-Instruct", "profile": "cpu", "draft": "d"}, "d": draft}
    assert render({"models": models})
    with pytest.raises(RenderError, match=r"models\.q\.draft.*source"):
        render(merge({"models": models}, {"models": {owner: {"source": CLAIM}}}))


def test_without_downloads_missing_files_are_an_error() -> None:
    """Nothing writes what a wait would wait for."""

    def awaits(cache: Json) -> str | None:
        wait = containers(pod(render(merge(values(None), {"modelCache": cache}))))[0]
        return environment(wait).get("SIZEUP_INFERENCE_AWAIT_DOWNLOAD")

    assert awaits({}) is None
    assert awaits({"existingClaim": "hub", "download": {"enabled": False}}) == "false"


DOC = (CHART.parents[1] / "docs/kubernetes.md").read_text(encoding="utf-8")
SECTION = DOC.partition("\n## Where weights come from\n")[2].partition("\n## ")[0]
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)]


def test_the_examples_render() -> None:
    objects = [one for example in EXAMPLES for one in render(example, kube_version=NEWEST)]
    sources = [m["source"] for example in EXAMPLES for m in example["models"].values()]
    assert {"claim", "image", "path"} == {next(iter(source)) for source in sources}
    for one in objects:
        validate(one, NEWEST)


def test_the_policy_of_the_example_selects_its_pods() -> None:
    objects = render(EXAMPLES[-1])
    policy = named(objects, "NetworkPolicy", "sizeup-s3")
    wanted = policy["spec"]["podSelector"]["matchLabels"].items()
    (deployment,) = [
        one
        for one in of_kind(objects, "Deployment")
        if wanted <= one["spec"]["template"]["metadata"]["labels"].items()
    ]
    fetch, *_ = containers(deployment["spec"]["template"])
    volumes = {v["name"] for v in deployment["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in fetch["volumeMounts"]} <= volumes
