"""null, which Helm reads as the removal of what a values file below has set."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, EVERYTHING, VARIANTS, Json, merge, named, render

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def emptied(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of maps and lists that are empty by default and in the values, with null."""
    for key, default in defaults.items():
        value = values.get(key, {})
        if isinstance(default, dict) and default:
            yield key, dict(emptied(default, value))
        elif default in ({}, []) and not value and key != "namespaceSelector":  # {}: all
            yield key, None


def test_null_is_an_empty_map_or_list() -> None:
    nulls = dict(emptied(DEFAULTS, EVERYTHING))
    assert nulls["commonLabels"] is nulls["modelCache"]["annotations"] is None
    assert render(merge(EVERYTHING, nulls)) == render(EVERYTHING)


@pytest.mark.parametrize(
    "path",
    [
        ("gateway", "resources"),
        ("mirror", "resources"),
        ("modelCache", "download", "resources"),
        ("networkPolicy", "download", "ports"),
        ("monitoring", "dashboards", "labels"),
    ],
)
def test_null_removes_a_default(path: tuple[str, ...]) -> None:
    nulls: Any = None
    for key in reversed(path):
        nulls = {key: nulls}
    values = merge(EVERYTHING, {"gateway": {"autoscaling": {"enabled": False}}})
    assert render(merge(values, nulls)) != render(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", ["qwen:own"]),
        ("draft", "qwen2-5-0-5b"),
        ("source", {"claim": "weights"}),
        ("shape", {"layers": 28, "kvHeads": 2, "headDim": 128}),
        ("strategy", {"type": "RollingUpdate"}),
    ],
)
def test_null_removes_a_key_of_a_model(key: str, value: Any) -> None:
    small = {"id": "Qwen/Qwen2.5-0.5B-Instruct"}
    large = {"id": "Qwen/Qwen2.5-7B-Instruct", "profile": "gpu-48g"}
    plain: Json = {"models": {"q": large, "qwen2-5-0-5b": small}}
    with_value = merge(plain, {"models": {"q": {key: value}}})
    assert render(merge(with_value, {"models": {"q": {key: None}}})) == render(plain)


def test_a_size_of_a_shared_gpu_moves_to_one_of_its_own() -> None:
    own: Json = {"profile": "gpu-24g", "gpuMemoryGiB": None}
    objects = render(merge(VARIANTS["one-gpu"], {"models": {"qwen2-5-7b": own}}))
    template = named(objects, "Deployment", "sizeup-qwen2-5-7b")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
