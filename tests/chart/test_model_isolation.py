"""Changing one model must not change the pods of others or of the gateway."""

from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    PER_MODEL,
    SINGLE_NODE,
    VARIANTS,
    identity,
    merge,
    pods,
    render,
)

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
    ("Role", "sizeup-gateway"),  # lists the Deployments that the gateway may scale
    ("Pod", "sizeup-test"),  # checks every model
    ("NetworkPolicy", "sizeup-download"),  # ports of all endpoints
}
"""Objects that list all models; none of them is a serving pod."""


def is_load_test(name: str) -> bool:
    """Whether an object is the load test, whose Job's hash covers the names of all models."""
    return name.startswith("sizeup-loadtest-")


CACHES = pytest.mark.parametrize(
    "cache", [{}, SINGLE_NODE, PER_MODEL], ids=["shared", "single-node", "per-model"]
)


@CACHES
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: next(iter(c)))
def test_change_affects_its_own_objects_and_the_catalog_only(
    change: dict[str, Any], cache: dict[str, Any]
) -> None:
    values = merge(EVERYTHING, cache)
    before = {identity(o): o for o in render(values)}
    after = {identity(o): o for o in render(merge(values, {"models": {"middle": change}}))}
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    assert changed, "the change has no effect"
    others = {(k, n) for k, n in changed - SHARED if "middle" not in n and not is_load_test(n)}
    assert others == set()


@pytest.mark.parametrize(
    "more", [{"more": {"id": "Qwen/Qwen2-0.5B"}}, {"middle": {"enabled": False}}]
)
@CACHES
def test_adding_or_removing_a_model_restarts_nothing(
    more: dict[str, Any], cache: dict[str, Any]
) -> None:
    values = merge(EVERYTHING, cache)
    before = dict(pods(render(values)))
    after = dict(pods(render(merge(values, {"models": more}))))
    kept = (before.keys() & after.keys()) - {"Pod/sizeup-test"}
    assert {name for name in kept if before[name] != after[name]} == set()
    assert len(kept) > 5


@pytest.mark.parametrize("variant", VARIANTS)
def test_new_chart_version_alone_restarts_nothing(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        if not name.startswith("Pod/"):
            assert "helm.sh/chart" not in pod["metadata"]["labels"]
            assert "app.kubernetes.io/version" not in pod["metadata"]["labels"]


def test_catalog_is_mounted_as_a_directory_and_reloads() -> None:
    gateway = dict(pods(render(EVERYTHING)))["Deployment/sizeup-gateway"]
    (container,) = gateway["spec"]["containers"]
    assert [m for m in container["volumeMounts"] if "subPath" in m] == []
    assert "checksum/catalog" not in gateway["metadata"].get("annotations", {})
