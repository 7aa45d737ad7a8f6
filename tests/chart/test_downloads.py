"""Rollouts that are paused until their downloads are complete, and downloads ahead of any size."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    CHART,
    SINGLE_NODE,
    VARIANTS,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    of_kind,
    render,
    upgraded,
)

ANNOTATION = "sizeup.dev/download"
SIZE: Json = {"id": "Qwen/Qwen2.5-7B-Instruct", "profile": "gpu-24g", "maxModelLen": 4096}
GPU: Json = {"models": {"q": SIZE}}
COMPLETE: Json = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
FAILED: Json = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}


def awaited(objects: list[Json]) -> dict[str, list[str]]:
    """Return the Jobs that each paused Deployment awaits, by its name."""
    found = {}
    for one in of_kind(objects, "Deployment"):
        names = one["metadata"].get("annotations", {}).get(ANNOTATION)
        assert one["spec"].get("paused", False) is (names is not None)
        if names is not None:
            found[one["metadata"]["name"]] = names.split(",")
    return found


def downloads(objects: list[Json]) -> dict[str, Json]:
    """Return the download Jobs by name."""
    names = {one["metadata"]["name"]: one for one in of_kind(objects, "Job")}
    return {name: job for name, job in names.items() if "-pull-" in name}


def gated(objects: list[Json]) -> dict[str, str]:
    """Return the Deployments that the gateways resume, by model."""
    catalog = named(objects, "ConfigMap", "sizeup-models")
    models = yaml.safe_load(catalog["data"]["models.yaml"])["models"]
    return {key: m["download"]["deployment"] for key, m in models.items() if "download" in m}


def rule(objects: list[Json], resource: str) -> tuple[set[str], set[str]]:
    """Return verbs and names of the gateway's rule on a resource."""
    rules = named(objects, "Role", "sizeup-gateway")["rules"]
    found = [one for one in rules if one["resources"] == [resource]]
    if not found:
        return set(), set()
    return set(found[0]["verbs"]), set(found[0].get("resourceNames", []))


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_with_devices_await_their_own_downloads(variant: str) -> None:
    objects = render(VARIANTS[variant])
    jobs = downloads(objects)
    expected = {}
    for one in of_kind(objects, "Deployment"):
        key = one["metadata"]["labels"].get("sizeup.dev/model")
        own = [
            n for n, job in jobs.items() if job["metadata"]["labels"].get("sizeup.dev/model") == key
        ]
        limits = containers(one["spec"]["template"])[-1]["resources"].get("limits", {})
        if key and own and any("/" in resource for resource in limits):
            expected[one["metadata"]["name"]] = own
    assert awaited(objects) == expected
    assert set(gated(objects).values()) == expected.keys()
    verbs = {"get", "patch"} if expected else set()
    assert rule(objects, "deployments") == (verbs, set(expected))
    assert rule(objects, "jobs") == ({"get"} if expected else set(), set())


@pytest.mark.parametrize(
    "change",
    [
        {"modelCache": {"download": {"enabled": False}}},
        {"modelCache": {"download": {"pausesRollouts": False}}},
        {"modelCache": {"mode": "ephemeral"}},
        {"models": {"q": {"engine": "fake"}}},
        {"models": {"q": {"profile": "cpu", "id": "Qwen/Qwen2.5-0.5B-Instruct"}}},
    ],
    ids=str,
)
def test_no_rollout_is_paused(change: dict[str, Any]) -> None:
    objects = render(merge(GPU, change))
    assert (awaited(objects), gated(objects), rule(objects, "deployments")) == (
        {},
        {},
        (set(), set()),
    )


def test_a_device_of_any_vendor_is_one() -> None:
    resources = {"limits": {"memory": "16Gi", "example.com/accelerator": 1}}
    values = {"profiles": {"gpu-24g": {"resources": resources}}, **GPU}
    assert awaited(render(values)).keys() == {"sizeup-q"}


def test_a_claim_of_a_device_is_one() -> None:
    profile = {
        "resources": {"limits": {"memory": "16Gi"}, "claims": [{"name": "gpu"}]},
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "l4"}],
        "gpuMemoryGiB": 22,
    }
    size = {**SIZE, "profile": "claimed"}
    values = {"profiles": {"claimed": profile}, "models": {"q": size}, "fit": {"onFailure": "warn"}}
    assert awaited(render(values)).keys() == {"sizeup-q"}


def test_a_draft_model_is_awaited_too() -> None:
    draft = {"id": "Qwen/Qwen2.5-0.5B-Instruct", "profile": "cpu"}
    objects = render({"models": {"q": {**SIZE, "draft": "d"}, "d": draft}})
    assert awaited(objects) == {"sizeup-q": sorted(downloads(objects), reverse=True)}


def test_an_upgrade_pauses_only_what_must_be_downloaded(tmp_path: Path) -> None:
    (job,) = downloads(render(GPU))
    assert awaited(upgraded(GPU, {job: COMPLETE}, tmp_path / "same")) == {}
    change = merge(GPU, {"models": {"q": {"env": [{"name": "A", "value": "b"}]}}})
    assert awaited(upgraded(change, {job: COMPLETE}, tmp_path / "env")) == {}
    assert awaited(upgraded(GPU, {job: FAILED}, tmp_path / "failed")) == {"sizeup-q": [job]}
    other = merge(GPU, {"models": {"q": {"revision": "v2"}}})
    (next_job,) = downloads(render(other))
    found = upgraded(other, {job: COMPLETE}, tmp_path / "revision")
    assert (next_job != job, awaited(found)) == (True, {"sizeup-q": [next_job]})


def test_the_service_leads_to_the_pod_of_the_download() -> None:
    """It serves /readyz on the port of inference, for the gateway."""
    objects = render(GPU)
    service = named(objects, "Service", "sizeup-q")["spec"]
    (job,) = downloads(objects).values()
    pod = job["spec"]["template"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    deployment = named(objects, "Deployment", "sizeup-q")["spec"]
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    (container,) = containers(pod)
    (port,) = [port for port in service["ports"] if port["name"] == "http"]
    assert container["args"][container["args"].index("--health-port") + 1] == str(
        port["targetPort"]
    )
    assert port["targetPort"] in [port["containerPort"] for port in container["ports"]]


def test_argo_cd_is_told_to_ignore_the_pause() -> None:
    """docs/kubernetes.md has the fields that the gateway changes."""
    doc = (CHART.parents[1] / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n([^`]*/spec/paused[^`]*)```", doc)
    (ignored,) = yaml.safe_load(text)["spec"]["ignoreDifferences"]
    assert "name" not in ignored
    for pointer in ignored["jsonPointers"]:
        place: Any = named(render(GPU), "Deployment", "sizeup-q")
        for part in pointer.split("/")[1:]:
            place = place[part.replace("~1", "/")]


NEXT: Json = {"id": SIZE["id"], "revision": "v2", "endpoint": "https://next.example.com:444"}
PREFETCH = merge(GPU, {"modelCache": {"prefetch": [NEXT]}})


def prefetched(values: dict[str, Any]) -> list[Json]:
    """Return the download Jobs of no size."""
    jobs = downloads(render(values)).values()
    return [job for job in jobs if "sizeup.dev/model" not in job["metadata"]["labels"]]


def test_a_prefetched_model_has_a_job_and_no_deployment() -> None:
    (job,) = prefetched(PREFETCH)
    (container,) = containers(job["spec"]["template"])
    assert container["args"][:4] == ["pull", NEXT["id"], "--revision", "v2"]
    assert environment(container)["HF_ENDPOINT"] == NEXT["endpoint"]
    before, after = render(GPU), render(PREFETCH)
    assert of_kind(before, "Deployment") == of_kind(after, "Deployment")
    (own,) = downloads(before)
    assert own in downloads(after)


def test_a_model_is_prefetched_once() -> None:
    twice = [{"id": NEXT["id"]}, {"id": NEXT["id"], "revision": "main", "endpoint": ""}]
    assert len(prefetched(merge(GPU, {"modelCache": {"prefetch": twice}}))) == 1


def test_prefetch_jobs_match_no_service() -> None:
    (job,) = prefetched(PREFETCH)
    labels = job["spec"]["template"]["metadata"]["labels"].items()
    for service in of_kind(render(PREFETCH), "Service"):
        assert not service["spec"]["selector"].items() <= labels


def test_prefetched_weights_count_in_the_size_of_the_volume() -> None:
    def size(values: dict[str, Any]) -> int:
        (claim,) = of_kind(render(values), "PersistentVolumeClaim")
        return int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))

    assert size(PREFETCH) >= 2 * size(GPU) - 1
    assert size(merge(PREFETCH, {"models": {"q": {"enabled": False}}})) == size(GPU)
    with pytest.raises(RenderError, match=r"modelCache\.size="):
        render(merge(PREFETCH, {"modelCache": {"size": "20Gi"}}))


def test_an_unknown_model_is_not_prefetched_by_guess() -> None:
    unknown = {"id": "acme/tuned"}
    values = merge(GPU, {"modelCache": {"prefetch": [unknown]}})
    with pytest.raises(RenderError, match="acme/tuned"):
        render(values)
    assert prefetched(merge(values, {"modelCache": {"size": "100Gi"}}))
    assert prefetched(merge(GPU, {"modelCache": {"prefetch": [{**unknown, "parameters": 7e9}]}}))


def test_what_no_size_could_serve_is_not_prefetched() -> None:
    quantized = {"id": f"{SIZE['id']}-AWQ", "parameters": 7e9}
    values = merge(GPU, {"modelCache": {"prefetch": [quantized]}})
    with pytest.raises(RenderError, match=r"modelCache\.prefetch: .*-AWQ"):
        render(values)
    assert prefetched(merge(values, {"fit": {"onFailure": "warn"}}))


def test_the_endpoint_of_a_prefetch_is_reachable() -> None:
    policy = named(render(PREFETCH), "NetworkPolicy", "sizeup-download")
    ports = [port["port"] for one in policy["spec"]["egress"] for port in one["ports"]]
    assert 444 in ports


@pytest.mark.parametrize("cache", [{"mode": "perModel"}, {"download": {"enabled": False}}], ids=str)
def test_prefetch_requires_a_shared_volume_and_downloads(cache: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match=r"modelCache\.prefetch requires"):
        render(merge(PREFETCH, {"modelCache": cache}))


def test_a_prefetch_to_a_single_node_volume_is_scheduled_with_the_models() -> None:
    values = merge(PREFETCH, SINGLE_NODE)
    (job,) = prefetched(values)
    (own,) = (job for name, job in downloads(render(values)).items() if "-q-" in name)
    for field in ("affinity", "nodeSelector", "tolerations"):
        expected = own["spec"]["template"]["spec"].get(field)
        assert job["spec"]["template"]["spec"].get(field) == expected


def test_a_single_node_volume_is_prefetched_before_there_is_a_size() -> None:
    (job,) = prefetched(merge(merge(PREFETCH, SINGLE_NODE), {"models": {"q": {"enabled": False}}}))
    affinity = job["spec"]["template"]["spec"]["affinity"]
    assert affinity.keys() == {"podAffinity"}, "with the pods that mount the volume later"
