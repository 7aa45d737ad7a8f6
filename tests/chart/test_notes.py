"""What `helm install` prints."""

import subprocess
from pathlib import Path

import pytest

from chart.rendering import CHART, EVERYTHING, HELM, VALUES, VARIANTS, Json, merge, notes

SEVEN = ["0.5b", "1.8b", "4b", "7b", "14b", "32b", "72b"]
SMALL: Json = {"models": {"small": {"id": "Qwen/Qwen2.5-0.5B-Instruct"}}}


def test_notes_contain_the_table_of_models(tmp_path: Path) -> None:
    rows = notes(VARIANTS["gpu"], tmp_path).splitlines()
    table = [row.split() for row in rows if row.startswith("qwen1-5-")]
    assert [row[0].removeprefix("qwen1-5-").replace("-", ".") for row in table] == SEVEN
    assert table[-1][:7] == [
        "qwen1-5-72b", "72.3B", "134.7Gi", "gpu-80g:4", "232.8", "316.0", "yes",
    ]  # fmt: skip


def test_notes_contain_the_next_steps(tmp_path: Path) -> None:
    text = notes(EVERYTHING, tmp_path)
    for part in (
        "http://sizeup.example.com",
        "http://sizeup-gateway.models:11434",
        "port-forward svc/sizeup-gateway",
        "helm -n models test sizeup",
        "Authorization: Bearer",
        "(scaled to zero",
    ):
        assert part in text


def test_notes_without_models_suggest_one(tmp_path: Path) -> None:
    text = notes({}, tmp_path)
    commands = [line.split("--set ") for line in text.splitlines() if "--set " in line]
    assert len(commands) == 2
    for _, settings in commands:
        argv = [str(HELM), "template", "sizeup", str(CHART), "--set", settings]
        subprocess.run(argv, check=True, capture_output=True)
    assert [name for name in VALUES if f"\n  {name} " not in text] == []


@pytest.mark.parametrize("models", [{}, SMALL], ids=["no model", "a model"])
@pytest.mark.parametrize(
    ("more", "is_missing"),
    [
        ({}, True),
        ({"gateway": {"image": {"repository": "registry.example.com/gateway"}}}, True),
        ({"image": {"registry": "registry.example.com/team"}}, False),
        ({"global": {"imageRegistry": "registry.example.com"}}, False),
        ({"image": {"pullPolicy": "Never"}}, False),
    ],
)
def test_images_without_a_registry_are_a_warning(
    models: Json, more: Json, tmp_path: Path, *, is_missing: bool
) -> None:
    """There are none at docker.io/library; a local cluster has them already."""
    assert ("WARNING: image.registry" in notes(merge(models, more), tmp_path)) is is_missing


@pytest.mark.parametrize("name", ["kind", "minikube"])
def test_presets_of_local_clusters_need_no_registry(name: str, tmp_path: Path) -> None:
    assert "image.registry" not in notes(VARIANTS[name], tmp_path)
