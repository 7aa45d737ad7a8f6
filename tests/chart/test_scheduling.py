"""Where pods go that share a disk of one node: downloads and the sizes they are for."""

from typing import Any

import pytest

from chart.rendering import (
    DISK,
    EVERYTHING,
    PER_MODEL,
    VARIANTS,
    Json,
    RefusedError,
    named,
    over,
    pods,
    render,
)


def neighbours(pod: Json) -> list[Json]:
    """Return the selectors of the pods that must be on the same node."""
    affinity = pod["spec"].get("affinity", {}).get("podAffinity", {})
    return [
        term["labelSelector"]
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        if term["topologyKey"] == "kubernetes.io/hostname"
    ]


@pytest.mark.parametrize("mode", ["shared", "perModel"])
def test_who_shares_a_disk_of_one_node_is_put_on_one(mode: str) -> None:
    values = over(EVERYTHING, over(DISK, {"modelCache": {"mode": mode}}))
    for name, pod in pods(render(values)):
        labels = pod["metadata"]["labels"]
        mounts = {
            v["persistentVolumeClaim"]["claimName"]
            for v in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in v
        }
        if not any("cache" in claim for claim in mounts):
            assert neighbours(pod) == [], name
            assert "sizeup.dev/disk" not in labels, f"{name} holds no disk, and draws nobody"
            continue
        (selector,) = neighbours(pod)
        assert selector["matchLabels"].items() <= labels.items(), "the first one may go anywhere"
        own = {"shared": "shared", "perModel": labels["sizeup.dev/model"]}[mode]
        assert selector["matchLabels"]["sizeup.dev/disk"] == own


GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists"}


def nodes(pod: Json) -> tuple[Json, list[Json]]:
    """Return the nodes that a pod takes, by their labels and their taints."""
    return pod["spec"].get("nodeSelector", {}), pod["spec"].get("tolerations", [])


def downloading(values: dict[str, Any]) -> Json:
    """Return the pod of the download of `middle`."""
    for name, pod in pods(render(values)):
        if name.startswith("Job/sizeup-pull-middle-"):
            return dict(pod["spec"])
    raise LookupError("middle")


def placed(values: dict[str, Any]) -> dict[str, list[tuple[Json, list[Json]]]]:
    """Return the nodes of the pods that have a cache's volume, by the claim."""
    found: dict[str, list[tuple[Json, list[Json]]]] = {}
    for _, pod in pods(render(values)):
        for volume in pod["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
            if "cache" in claim:
                found.setdefault(claim, []).append(nodes(pod))
    return found


GPU: Json = {"nodeSelector": {"gpu": "l40s"}, "tolerations": [GPU_TAINT]}


def test_a_download_takes_the_nodes_of_its_size() -> None:
    """Asleep or not: it may be the first pod, and the disk is made where that one goes."""
    values = over(EVERYTHING, {"models": {"middle": GPU}})
    assert placed(over(values, PER_MODEL)) == {
        "sizeup-cache-small": [({}, [])] * 2,
        "sizeup-cache-middle": [({"gpu": "l40s"}, [GPU_TAINT])] * 2,
        # Its GPU may be tolerated for by the cluster, which does so for pods that ask for one.
        "sizeup-cache-sleeper": [({}, []), ({}, [GPU_TAINT])],
    }
    everybody = over(values, {"models": {"small": GPU, "sleeper": GPU}})
    assert placed(over(everybody, DISK)) == {"sizeup-cache": [({"gpu": "l40s"}, [GPU_TAINT])] * 6}


@pytest.mark.parametrize("rule", GPU.items())
def test_sizes_of_different_nodes_cannot_share_such_a_disk(rule: tuple[str, Any]) -> None:
    values = over(EVERYTHING, {"models": {"middle": dict([rule])}})
    assert render(values)
    with pytest.raises(RefusedError, match="use ReadWriteMany, or mode perModel"):
        render(over(values, DISK))
    assert render(over(values, PER_MODEL))


@pytest.mark.parametrize("rule", GPU.items())
@pytest.mark.parametrize("disk", [DISK, PER_MODEL])
def test_a_download_has_no_nodes_of_its_own_there(disk: Json, rule: tuple[str, Any]) -> None:
    values = over(EVERYTHING, {"modelCache": {"download": dict([rule])}})
    assert render(values)
    with pytest.raises(RefusedError, match=r"leave out modelCache\.download\.nodeSelector"):
        render(over(values, disk))
    filled = {"modelCache": {"download": {"enabled": False}}}
    assert render(over(over(values, disk), filled))


def test_on_a_disk_of_many_nodes_each_is_placed_by_itself() -> None:
    size = {"nodeSelector": {"gpu": "l40s"}, "tolerations": [GPU_TAINT]}
    found = placed(over(EVERYTHING, {"models": {"middle": size}}))["sizeup-cache"]
    assert sorted(map(str, found)) == sorted(
        map(str, [({"gpu": "l40s"}, [GPU_TAINT]), *[({}, [])] * 5])
    )


def test_a_disk_per_gpu_size_is_made_on_a_node_of_its_kind() -> None:
    """Asleep or not: the download is then the first pod, and chooses the node."""
    values = over(VARIANTS["gpu"], PER_MODEL)
    for claim, ((nodes, tolerated), (same, all_tolerated)) in placed(values).items():
        assert nodes == same, claim
        assert nodes.keys() == {"nvidia.com/gpu.product"}
        assert all(taint in all_tolerated for taint in tolerated)
    with pytest.raises(RefusedError, match="the size of each volume"):
        render(over(VARIANTS["gpu"], DISK))


def test_a_download_has_its_sizes_rules_about_nodes() -> None:
    own: Json = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
            }
        }
    }
    values = over(EVERYTHING, {"models": {"middle": {"affinity": own}}})
    assert "affinity" not in downloading(values)
    affinity = downloading(over(values, PER_MODEL))["affinity"]
    assert affinity["nodeAffinity"] == own["nodeAffinity"]
    with pytest.raises(RefusedError, match="are for different nodes"):
        render(over(values, DISK))


@pytest.mark.parametrize("disk", [DISK, PER_MODEL])
def test_a_second_rule_about_neighbours_is_refused(disk: Json) -> None:
    term = {"topologyKey": "rack", "labelSelector": {"matchLabels": {"app": "other"}}}
    own = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    values = over(EVERYTHING, {"models": {"middle": {"affinity": own}}})
    assert render(values)
    with pytest.raises(RefusedError, match=r"models\.middle\.affinity\.podAffinity requires"):
        render(over(values, disk))


def test_an_affinity_of_ones_own_stays_beside_it() -> None:
    own: Json = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    values = over(over(EVERYTHING, DISK), {"models": {"middle": {"affinity": own}}})
    middle = named(render(values), "Deployment", "sizeup-middle")["spec"]["template"]
    assert middle["spec"]["affinity"].keys() == {"podAntiAffinity", "podAffinity"}
