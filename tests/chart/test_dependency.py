"""The chart as a dependency of a parent chart: under a condition, and twice under aliases."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    CHART,
    EVERYTHING,
    Json,
    RenderError,
    environment,
    identity,
    named,
    of_kind,
    pods,
    render,
)

MODEL: Json = {"models": {"small": EVERYTHING["models"]["small"]}}
MONITORED: Json = {
    "monitoring": {name: {"enabled": True} for name in ("serviceMonitor", "podMonitor")}
}


def parent(folder: Path, *aliases: str) -> Path:
    """Write a chart whose dependency is this one, by each alias."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependencies: list[Json] = [
        {"name": "sizeup", "version": version, "alias": alias, "condition": f"{alias}.enabled"}
        for alias in aliases
    ]
    for one in dependencies:
        if one["alias"] == "sizeup":
            del one["alias"]
    chart = folder / "platform"
    (chart / "charts").mkdir(parents=True)
    shutil.copytree(CHART, chart / "charts" / "sizeup")
    described = {"apiVersion": "v2", "name": "platform", "version": "1.0.0"}
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**described, "dependencies": dependencies}))
    (chart / "values.yaml").write_text("{}")
    return chart


def test_a_condition_removes_the_dependency(tmp_path: Path) -> None:
    chart = parent(tmp_path, "sizeup")
    assert render({"sizeup": {"enabled": False}}, chart=chart) == []
    shown = {identity(one) for one in render({"sizeup": {**MODEL, "enabled": True}}, chart=chart)}
    assert shown == {identity(one) for one in render(MODEL)}


def test_disabled_without_a_condition_is_rejected() -> None:
    with pytest.raises(RenderError, match=r"condition: sizeup\.enabled"):
        render({"enabled": False})


def test_global_values_reach_the_dependency(tmp_path: Path) -> None:
    ours = {"imageRegistry": "registry.example.com", "storageClass": "of another chart"}
    objects = render({"global": ours, "sizeup": MODEL}, chart=parent(tmp_path, "sizeup"))
    for _, pod in pods(objects):
        for container in pod["spec"]["containers"]:
            assert container["image"].startswith("registry.example.com/sizeup-")


def two(folder: Path, **more: Any) -> list[Json]:
    """Render two dependencies in one release."""
    values = {alias: {**MODEL, **MONITORED, **more} for alias in ("chat", "batch")}
    return render(values, chart=parent(folder, "chat", "batch"))


def test_aliases_share_no_name(tmp_path: Path) -> None:
    names = [identity(one) for one in two(tmp_path)]
    assert len(names) == len(set(names))
    assert ("Deployment", "sizeup-chat-gateway") in names
    assert ("Deployment", "sizeup-batch-gateway") in names


@pytest.mark.parametrize("alias", ["chatSizes", "chat_sizes"])
def test_names_under_an_alias_are_valid(alias: str, tmp_path: Path) -> None:
    for one in render({alias: MODEL}, chart=parent(tmp_path, alias)):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])


def selected(one: Json) -> Json | None:
    """Return the labels by which an object selects pods or Services."""
    spec = one.get("spec", {})
    match one["kind"]:
        case "Service":
            return dict(spec["selector"])
        case "NetworkPolicy":
            return dict(spec["podSelector"]["matchLabels"])
        case "Deployment" | "PodMonitor" | "ServiceMonitor" | "PodDisruptionBudget":
            return dict(spec["selector"]["matchLabels"])
        case _:
            return None


@pytest.mark.parametrize("cache", [{}, {"accessModes": ["ReadWriteOnce"]}])
def test_aliases_select_no_pod_of_each_other(cache: Json, tmp_path: Path) -> None:
    objects = two(tmp_path, modelCache=cache)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects)}
    checked = 0
    for one in objects:
        if wanted := selected(one):
            alias = one["metadata"]["labels"]["app.kubernetes.io/name"]
            matched = {name for name, own in labels.items() if wanted.items() <= own.items()}
            assert all(f"sizeup-{alias}-" in name for name in matched)
            assert matched or one["kind"] not in ("Deployment", "Service"), identity(one)
            checked += bool(matched)
    assert checked > 10
    for _, pod in pods(objects):
        affinity = pod["spec"].get("affinity", {}).get("podAffinity")
        own = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        assert not affinity or f'"app.kubernetes.io/name": "{own}"' in json.dumps(affinity)


def test_a_gateway_watches_the_services_of_its_alias(tmp_path: Path) -> None:
    objects = two(tmp_path)
    for alias in ("chat", "batch"):
        (gateway,) = named(objects, "Deployment", f"sizeup-{alias}-gateway")["spec"]["template"][
            "spec"
        ]["containers"]
        selector = environment(gateway)["SIZEUP_GATEWAY_ENDPOINT_SELECTOR"]
        wanted = dict(part.split("=") for part in selector.split(","))
        watched = {
            one["metadata"]["name"]
            for one in of_kind(objects, "Service")
            if wanted.items() <= one["metadata"]["labels"].items()
        }
        assert watched == {f"sizeup-{alias}-small"}


def test_anchors_at_the_root() -> None:
    text = """
x-gpu: &gpu {nodeSelector: {pool: gpu}}
models:
  one: {id: Qwen/Qwen2.5-0.5B-Instruct, profile: cpu, <<: *gpu}
  two: {id: Qwen/Qwen2.5-1.5B-Instruct, profile: cpu, <<: *gpu}
"""
    assert render(yaml.safe_load(text))
    for name in ("one", "two"):
        pod = named(render(yaml.safe_load(text)), "Deployment", f"sizeup-{name}")["spec"][
            "template"
        ]
        assert pod["spec"]["nodeSelector"] == {"pool": "gpu"}


@pytest.mark.parametrize("key", ["anchors", "xgpu", "globals"])
def test_other_unknown_keys_are_rejected(key: str) -> None:
    with pytest.raises(RenderError, match=key):
        render({key: {}})
