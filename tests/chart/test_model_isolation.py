"""Changing one size must leave the others, and the gateway, as they are."""

from typing import Any

import pytest

from chart.rendering import DISK, EVERYTHING, PER_MODEL, VARIANTS, identity, over, pods, render

CHANGES: list[dict[str, Any]] = [
    {"maxModelLen": 4096},
    {"revision": "v2"},
    {"replicas": 3},
    {"names": ["other:name"]},
    {"limits": {"concurrency": 8}},
    {"env": [{"name": "CUDA_LAUNCH_BLOCKING", "value": "1"}]},
    {"profile": "gpu-80g"},
    {"scaleToZero": {"enabled": True}},
    {"endpoint": "https://other.example.com"},
]
SHARED = {
    ("ConfigMap", "sizeup-models"),
    ("Role", "sizeup-gateway"),  # names what may be scaled
    ("Pod", "sizeup-test"),  # asks each size
    ("NetworkPolicy", "sizeup-download"),  # ports of the endpoints
}
"""What speaks of all sizes; none of it is a pod that serves."""


def measures(name: str) -> bool:
    """Tell whether an object is the load test, whose Job has the names of all sizes in its hash."""
    return name.startswith("sizeup-loadtest-")


CACHES = pytest.mark.parametrize(
    "cache", [{}, DISK, PER_MODEL], ids=["shared", "disk", "disk-each"]
)


@CACHES
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: next(iter(c)))
def test_only_its_own_objects_and_the_catalogue_change(
    change: dict[str, Any], cache: dict[str, Any]
) -> None:
    values = over(EVERYTHING, cache)
    before = {identity(o): o for o in render(values)}
    after = {identity(o): o for o in render(over(values, {"models": {"middle": change}}))}
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    assert changed, "the change changes nothing"
    others = {(k, n) for k, n in changed - SHARED if "middle" not in n and not measures(n)}
    assert others == set()


@pytest.mark.parametrize(
    "more", [{"more": {"id": "Qwen/Qwen2-0.5B"}}, {"middle": {"enabled": False}}]
)
@CACHES
def test_a_size_that_comes_or_goes_restarts_nothing(
    more: dict[str, Any], cache: dict[str, Any]
) -> None:
    values = over(EVERYTHING, cache)
    before = dict(pods(render(values)))
    after = dict(pods(render(over(values, {"models": more}))))
    kept = (before.keys() & after.keys()) - {"Pod/sizeup-test"}
    assert {name for name in kept if before[name] != after[name]} == set()
    assert len(kept) > 5


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_new_version_of_the_chart_alone_restarts_nothing(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        if not name.startswith("Pod/"):
            assert "helm.sh/chart" not in pod["metadata"]["labels"]
            assert "app.kubernetes.io/version" not in pod["metadata"]["labels"]


def test_the_gateway_reads_the_catalogue_from_a_folder_that_follows_its_changes() -> None:
    gateway = dict(pods(render(EVERYTHING)))["Deployment/sizeup-gateway"]
    (container,) = gateway["spec"]["containers"]
    assert [m for m in container["volumeMounts"] if "subPath" in m] == []
    assert "checksum/catalogue" not in gateway["metadata"].get("annotations", {})
