"""Scheduling of pods that share a single-node volume: downloads and the models they are for."""

from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    PER_MODEL,
    SINGLE_NODE,
    VARIANTS,
    Json,
    RenderError,
    merge,
    named,
    pods,
    render,
)


def required_affinity(pod: Json) -> list[Json]:
    """Return the selectors of the required pod affinity by hostname."""
    affinity = pod["spec"].get("affinity", {}).get("podAffinity", {})
    return [
        term["labelSelector"]
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        if term["topologyKey"] == "kubernetes.io/hostname"
    ]


@pytest.mark.parametrize("mode", ["shared", "perModel"])
def test_pods_of_a_single_node_volume_are_scheduled_together(mode: str) -> None:
    values = merge(EVERYTHING, merge(SINGLE_NODE, {"modelCache": {"mode": mode}}))
    for name, pod in pods(render(values)):
        labels = pod["metadata"]["labels"]
        mounts = {
            v["persistentVolumeClaim"]["claimName"]
            for v in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in v
        }
        if not any("cache" in claim for claim in mounts):
            assert required_affinity(pod) == [], name
            assert "sizeup.dev/disk" not in labels, f"{name} mounts no such volume"
            continue
        (selector,) = required_affinity(pod)
        assert selector["matchLabels"].items() <= labels.items(), (
            "the first pod matches its own affinity"
        )
        own = {"shared": "shared", "perModel": labels["sizeup.dev/model"]}[mode]
        assert selector["matchLabels"]["sizeup.dev/disk"] == own


GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists"}
OF_RESOURCE = {**GPU_TAINT, "effect": "NoSchedule"}
"""What the chart adds for a profile that requests the resource."""


def nodes(pod: Json) -> tuple[Json, list[Json]]:
    """Return node selector and tolerations."""
    return pod["spec"].get("nodeSelector", {}), pod["spec"].get("tolerations", [])


def downloading(values: dict[str, Any]) -> Json:
    """Return the pod spec of the download of `middle`."""
    for name, pod in pods(render(values)):
        if name.startswith("Job/sizeup-pull-middle-"):
            return dict(pod["spec"])
    raise LookupError("middle")


def scheduling_by_claim(values: dict[str, Any]) -> dict[str, list[tuple[Json, list[Json]]]]:
    """Return the scheduling rules of the pods that mount a cache volume, by claim."""
    found: dict[str, list[tuple[Json, list[Json]]]] = {}
    for _, pod in pods(render(values)):
        for volume in pod["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
            if "cache" in claim:
                found.setdefault(claim, []).append(nodes(pod))
    return found


GPU: Json = {"nodeSelector": {"gpu": "l40s"}, "tolerations": [GPU_TAINT]}


def test_download_is_scheduled_like_its_model() -> None:
    """It may be the first pod, whose node determines where the volume is provisioned."""
    values = merge(EVERYTHING, {"models": {"middle": GPU}})
    assert scheduling_by_claim(merge(values, PER_MODEL)) == {
        "sizeup-cache-small": [({}, [])] * 2,
        "sizeup-cache-middle": [({"gpu": "l40s"}, [GPU_TAINT])] * 2,
        "sizeup-cache-scaled": [({}, [OF_RESOURCE])] * 2,
    }
    all_alike = merge(values, {"models": {"small": GPU, "scaled": GPU}})
    assert scheduling_by_claim(merge(all_alike, SINGLE_NODE)) == {
        "sizeup-cache": [({"gpu": "l40s"}, [GPU_TAINT])] * 6
    }


@pytest.mark.parametrize("rule", GPU.items())
def test_different_scheduling_on_a_shared_volume_is_rejected(rule: tuple[str, Any]) -> None:
    values = merge(EVERYTHING, {"models": {"middle": dict([rule])}})
    assert render(values)
    with pytest.raises(RenderError, match=r"models\.middle and models\.\w+ .*nodeSelector"):
        render(merge(values, SINGLE_NODE))
    assert render(merge(values, PER_MODEL))


@pytest.mark.parametrize("rule", GPU.items())
@pytest.mark.parametrize("cache", [SINGLE_NODE, PER_MODEL])
def test_download_scheduling_values_conflict_with_a_single_node_volume(
    cache: Json, rule: tuple[str, Any]
) -> None:
    values = merge(EVERYTHING, {"modelCache": {"download": dict([rule])}})
    assert render(values)
    with pytest.raises(RenderError, match=r"remove modelCache\.download\.nodeSelector"):
        render(merge(values, cache))
    filled = {"modelCache": {"download": {"enabled": False}}}
    assert render(merge(merge(values, cache), filled))


def test_what_the_chart_adds_for_gpus_is_no_conflict() -> None:
    """On one node with GPUs, tainted or not; a CPU size of a tainted node needs the toleration."""
    assert render(merge(EVERYTHING, SINGLE_NODE))
    tainted = {"models": {"small": {"tolerations": [OF_RESOURCE]}}}
    assert render(merge(merge(EVERYTHING, SINGLE_NODE), tainted))


def test_read_write_many_schedules_pods_independently() -> None:
    gpu = {"nodeSelector": {"gpu": "l40s"}, "tolerations": [GPU_TAINT]}
    found = scheduling_by_claim(merge(EVERYTHING, {"models": {"middle": gpu}}))["sizeup-cache"]
    tainted = [({"gpu": "l40s"}, [GPU_TAINT]), ({}, [OF_RESOURCE])]
    assert [one for one in found if one != ({}, [])] == tainted
    assert len(found) == 6


def test_volume_per_gpu_model_is_provisioned_on_a_matching_node() -> None:
    """The download is the first pod and determines the node."""
    values = merge(VARIANTS["gpu"], PER_MODEL)
    for claim, ((nodes, tolerated), (same, all_tolerated)) in scheduling_by_claim(values).items():
        assert nodes == same, claim
        assert nodes.keys() == {"nvidia.com/gpu.product"}
        assert all(taint in all_tolerated for taint in tolerated)
    with pytest.raises(RenderError, match=r"ReadWriteOnce volume"):
        render(merge(VARIANTS["gpu"], SINGLE_NODE))


def test_download_inherits_the_node_affinity_of_its_model() -> None:
    own: Json = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
            }
        }
    }
    values = merge(EVERYTHING, {"models": {"middle": {"affinity": own}}})
    assert "affinity" not in downloading(values)
    affinity = downloading(merge(values, PER_MODEL))["affinity"]
    assert affinity["nodeAffinity"] == own["nodeAffinity"]
    with pytest.raises(RenderError, match="nodeAffinity"):
        render(merge(values, SINGLE_NODE))


@pytest.mark.parametrize("cache", [SINGLE_NODE, PER_MODEL])
def test_second_required_pod_affinity_is_rejected(cache: Json) -> None:
    term = {"topologyKey": "rack", "labelSelector": {"matchLabels": {"app": "other"}}}
    own = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    values = merge(EVERYTHING, {"models": {"middle": {"affinity": own}}})
    assert render(values)
    with pytest.raises(RenderError, match=r"models\.middle\.affinity\.podAffinity"):
        render(merge(values, cache))


def test_other_affinity_is_kept() -> None:
    own: Json = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    values = merge(merge(EVERYTHING, SINGLE_NODE), {"models": {"middle": {"affinity": own}}})
    middle = named(render(values), "Deployment", "sizeup-middle")["spec"]["template"]
    assert middle["spec"]["affinity"].keys() == {"podAntiAffinity", "podAffinity"}
