"""Null in a values file removes what a file below sets, and the defaults of values.yaml."""

from typing import Any

import pytest
import yaml

from chart.rendering import CHART, EVERYTHING, RenderError, merge, of_kind, render
from chart.test_schema import POD_FIELDS, SCHEMA

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
EMPTY = ("global", "commonLabels", "models", "podSecurityContext")
"""Maps that may be empty."""
EMPTY_BELOW = {
    "modelCache": ("annotations", "labels"),
    "monitoring": ("labels",),
    "loadtest": ("config",),
}
MODEL = SCHEMA["definitions"]["model"]["properties"].keys()


def sections() -> list[str]:
    """Return the paths of the maps of values.yaml that must not be null."""
    top = [key for key, value in DEFAULTS.items() if isinstance(value, dict) and key not in EMPTY]
    below = [
        f"{key}.{name}"
        for key in top
        if key not in ("profiles", "image")
        for name, value in DEFAULTS[key].items()
        if isinstance(value, dict)
        and not name.lower().endswith("resources")
        and name not in EMPTY_BELOW.get(key, ())
    ]
    download = [f"modelCache.download.{one}" for one in ("image", "serviceAccount")]
    return [*top, *below, *download]


def at(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


@pytest.mark.parametrize("path", sections())
def test_a_null_section_is_rejected_by_name(path: str) -> None:
    """A heading in a values file, below which every line is a comment."""
    with pytest.raises(RenderError, match=rf"{path} is null"):
        render(at(path, None))


@pytest.mark.parametrize(
    "path", [*EMPTY, *(f"{key}.{name}" for key, names in EMPTY_BELOW.items() for name in names)]
)
def test_a_null_map_is_empty(path: str) -> None:
    assert render(
        merge({**EVERYTHING, "loadtest": {"models": ["a"], "enabled": True}}, at(path, None))
    )


def test_null_removes_a_model() -> None:
    models = {"models": {"absent": None, "scaled": None}}
    names = {
        one["metadata"]["name"] for one in of_kind(render(merge(EVERYTHING, models)), "Deployment")
    }
    assert "sizeup-small" in names
    assert "sizeup-scaled" not in names
    assert render(merge(merge(EVERYTHING, models), {"tests": {"enabled": False}}))


@pytest.mark.parametrize("field", sorted(MODEL - {"id", "replicas", *POD_FIELDS}))
def test_null_removes_a_value_of_a_model(field: str) -> None:
    one = {"id": "Qwen/Qwen2.5-0.5B-Instruct"}
    assert render({"models": {"one": {**one, field: None}}}) == render({"models": {"one": one}})


@pytest.mark.parametrize("path", ["autoscaling.minReplicas", "autoscaling.targetRequests"])
def test_null_removes_a_value_of_the_autoscaling(path: str) -> None:
    one = {"id": "Qwen/Qwen2.5-0.5B-Instruct", "autoscaling": {"maxReplicas": 3}}
    assert render({"models": {"one": merge(one, at(path, None))}}) == render(
        {"models": {"one": one}}
    )


@pytest.mark.parametrize(
    "path",
    ["limits.queue", "limits.concurrency", "scaleToZero.enabled", "scaleToZero.keepAlive"]
    + [f"source.{key}" for key in ("claim", "image", "path", "pullPolicy")],
)
def test_null_removes_a_part_of_a_value(path: str) -> None:
    one = {"id": "Qwen/Qwen2.5-0.5B-Instruct"}
    assert render({"models": {"one": {**one, **at(path, None)}}}) == render(
        {"models": {"one": one}}
    )
