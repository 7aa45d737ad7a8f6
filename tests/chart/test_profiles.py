"""A profile works alone: its image, the taint of its nodes, and devices that the engine can use."""

from typing import Any

import pytest

from chart.rendering import (
    CHART,
    VALUES,
    VARIANTS,
    Json,
    RenderError,
    containers,
    named,
    pods,
    render,
)
from images.bake import TARGETS, VERSION

MODEL = {"id": "Qwen/Qwen2.5-3B-Instruct", "maxModelLen": 4096}
DIGEST = f"sha256:{'a' * 64}"


def pod(model: dict[str, Any] | None = None, **values: Any) -> Json:
    """Return the pod template of one model."""
    objects = render({"models": {"one": {**MODEL, **(model or {})}}, **values})
    template: Json = named(objects, "Deployment", "sizeup-one")["spec"]["template"]
    return template


def images(template: Json) -> set[str]:
    """Return the images of a pod."""
    return {container["image"] for container in containers(template)}


def profile(*resources: str, memory: float = 22, **more: Any) -> Json:
    """Return profiles with one that requests these extended resources."""
    limits = {"memory": "8Gi", **dict.fromkeys(resources, 1)}
    return {"mine": {"gpuMemoryGiB": memory, "resources": {"limits": limits}, **more}}


def exists(key: str) -> Json:
    """Return the toleration that ExtendedResourceToleration adds."""
    return {"key": key, "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ({"profile": "gpu-24g"}, "inference-cuda"),
        ({"profile": "gpu-24g:2"}, "inference-cuda"),
        ({"profile": "cpu", "id": "Qwen/Qwen2.5-0.5B-Instruct"}, "inference-cpu"),
        ({"profile": "cpu", "engine": "fake"}, "inference-fake"),
        ({"profile": "gpu-24g", "engine": "fake"}, "inference-fake"),
    ],
)
def test_the_image_is_that_of_the_device(model: dict[str, Any], target: str) -> None:
    assert images(pod(model)) == {TARGETS[target].reference(VERSION)}


@pytest.mark.parametrize(
    ("inference", "own", "engine", "image"),
    [
        ({"tag": "v2"}, {}, "transformers", "sizeup-inference:v2"),
        ({"tag": "v2"}, {"tag": "v3"}, "transformers", "sizeup-inference:v3"),
        ({"tag": "v2"}, {"repository": "rocm", "tag": "v3"}, "transformers", "rocm:v3"),
        ({"digest": DIGEST}, {}, "transformers", f"sizeup-inference@{DIGEST}"),
        ({"tag": "v2"}, {}, "fake", "sizeup-inference:v2-fake"),
        ({"tag": "v2"}, {"tag": "v3"}, "fake", "sizeup-inference:v3"),
        ({"digest": DIGEST}, {}, "fake", f"sizeup-inference@{DIGEST}"),
    ],
)
def test_tag_and_digest_of_the_values_take_precedence(
    inference: Json, own: Json, engine: str, image: str
) -> None:
    made = pod(
        {"profile": "mine", "engine": engine},
        inference={"image": inference},
        profiles=profile("nvidia.com/gpu", image=own),
    )
    assert images(made) == {image}


@pytest.mark.parametrize("name", VALUES)
def test_no_preset_repeats_an_image_tag_or_the_taint_of_gpus(name: str) -> None:
    text = (CHART / "values" / f"{name}.yaml").read_text()
    assert "tag:" not in text
    assert "tolerations" not in text


def test_a_gpu_profile_tolerates_the_taint_of_its_resource() -> None:
    assert pod({"profile": "gpu-24g"})["spec"]["tolerations"] == [exists("nvidia.com/gpu")]
    assert "tolerations" not in pod({"id": "Qwen/Qwen2.5-0.5B-Instruct"})["spec"]


@pytest.mark.parametrize(
    ("resource", "keys"),
    [
        ("amd.com/gpu", ["amd.com/gpu"]),
        ("example.com/gpu", ["example.com/gpu"]),
        ("nvidia.com/mig-1g.10gb", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb"]),
        ("nvidia.com/gpu.shared", ["nvidia.com/gpu", "nvidia.com/gpu.shared"]),
    ],
)
def test_every_extended_resource_is_tolerated(resource: str, keys: list[str]) -> None:
    made = pod({"profile": "mine"}, profiles=profile(resource, image={"tag": "mine"}))
    assert made["spec"]["tolerations"] == [exists(key) for key in keys]


@pytest.mark.parametrize(
    ("own", "is_added"),
    [
        (exists("nvidia.com/gpu"), False),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, False),
        ({"operator": "Exists"}, False),
        ({**exists("nvidia.com/gpu"), "effect": "NoExecute"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "l4"}, True),
        (exists("team"), True),
    ],
)
@pytest.mark.parametrize("at", ["profile", "model"])
def test_a_toleration_of_the_values_is_not_repeated(own: Json, at: str, *, is_added: bool) -> None:
    model = {"profile": "mine"} | ({"tolerations": [own]} if at == "model" else {})
    more: Json = {"tolerations": [own]} if at == "profile" else {}
    made = pod(model, profiles=profile("nvidia.com/gpu", **more))
    expected = [own, exists("nvidia.com/gpu")] if is_added else [own]
    assert made["spec"]["tolerations"] == expected


@pytest.mark.parametrize(
    "resource",
    [
        "gpu.intel.com/i915",
        "habana.ai/gaudi",
        "aws.amazon.com/neuron",
        "google.com/tpu",
        "huawei.com/Ascend910",
    ],
)
def test_devices_that_torch_does_not_call_cuda_are_rejected(resource: str) -> None:
    with pytest.raises(RenderError, match=f"profiles.mine requests {resource}"):
        pod({"profile": "mine"}, profiles=profile(resource))


def test_an_amd_gpu_requires_an_image() -> None:
    with pytest.raises(RenderError, match=r"profiles\.mine\.image"):
        pod({"profile": "mine"}, profiles=profile("amd.com/gpu"))
    own = {"repository": "rocm", "tag": "v1"}
    assert images(pod({"profile": "mine"}, profiles=profile("amd.com/gpu", image=own))) == {
        "rocm:v1"
    }
    assert images(
        pod({"profile": "mine"}, profiles=profile("amd.com/gpu"), inference={"image": own})
    ) == {"rocm:v1"}


@pytest.mark.parametrize("resource", ["nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"])
def test_parts_of_gpus_cannot_be_multiplied(resource: str) -> None:
    assert pod({"profile": "mine"}, profiles=profile(resource))
    with pytest.raises(RenderError, match=r"models\.one\.profile is mine:2"):
        pod({"profile": "mine:2"}, profiles=profile(resource))


@pytest.mark.parametrize(
    ("resource", "cure"),
    [
        ("nvidia.com/gpu", r"models\.one\.profile=mine:4"),
        ("amd.com/gpu", r"models\.one\.profile=mine:4"),
        ("nvidia.com/gpu.shared", "request 1, or"),
        ("nvidia.com/mig-1g.10gb", "request 1, or"),
    ],
)
@pytest.mark.parametrize("amount", [4, "4"])
def test_a_profile_has_one_gpu(resource: str, cure: str, amount: int | str) -> None:
    """The engine would use one, and the check of what fits counts one."""
    four = profile(resource, image={"tag": "mine"})
    four["mine"]["resources"]["limits"][resource] = amount
    with pytest.raises(RenderError, match=cure):
        pod({"profile": "mine"}, profiles=four)
    assert pod({"profile": "mine"}, profiles=four, fit={"onFailure": "warn"})


def test_devices_in_other_units_are_any_number() -> None:
    units = profile("nvidia.com/gpu", "nvidia.com/gpumem")
    units["mine"]["resources"]["limits"]["nvidia.com/gpumem"] = 1000
    assert pod({"profile": "mine"}, profiles=units)


@pytest.mark.parametrize("resource", ["nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"])
def test_no_number_of_parts_is_suggested(resource: str) -> None:
    with pytest.raises(RenderError, match="does not fit") as refused:
        pod({"profile": "mine"}, profiles=profile(resource, memory=4))
    assert "It fits" not in str(refused.value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_pod_has_a_toleration_twice(variant: str) -> None:
    for name, template in pods(render(VARIANTS[variant])):
        tolerations = list(map(str, template["spec"].get("tolerations", [])))
        assert len(tolerations) == len(set(tolerations)), name


@pytest.mark.parametrize(
    ("requests", "limits"),
    [
        ({"cpu": "1500m"}, {"cpu": 1}),
        ({"memory": "2Gi"}, {"memory": "2G"}),
        ({"cpu": 0.5}, {"cpu": 0.4}),
        ({"example.com/device": 1}, {"example.com/device": 2}),
        ({"example.com/device": 1}, {}),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "profiles.mine.resources",
        "gateway.resources",
        "inference.waitResources",
        "modelCache.download.resources",
        "mirror.resources",
        "tests.resources",
    ],
)
def test_requests_above_limits_are_rejected(path: str, requests: Json, limits: Json) -> None:
    """The API server would accept the Deployment, and reject each of its pods."""
    values: Json = {"models": {"one": {**MODEL, "engine": "fake", "profile": "mine"}}}
    values["profiles"] = {"mine": {"gpuMemoryGiB": 0, "resources": {}}}
    assert render(values)
    place = values
    *above, last = path.split(".")
    for key in above:
        place = place.setdefault(key, {})
    place[last] = {"requests": requests, "limits": limits}
    with pytest.raises(RenderError, match=path):
        render(values)
