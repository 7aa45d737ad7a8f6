import json
from pathlib import Path
from typing import Any

import pytest

from cli.client.fake_gateway import FakeGateway
from cli.command import Command
from sizeup.client.model_list import short_count

COMMIT = "a" * 40


@pytest.fixture
def models(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv("COLUMNS", "120")

    def run(*options: str) -> Command:
        return Command(capsys, monkeypatch, "models", "--url", gateway.url, *options)

    return run


def row(done: Command, name: str) -> list[str]:
    """Return the cells of the row of a name."""
    lines = [line for line in done.out.splitlines() if line.startswith(f"│ {name} ")]
    assert len(lines) == 1, done.out
    return [cell.strip() for cell in lines[0].strip("│").split("│")]


def cache_model(cache: Path, model_id: str, size: int) -> None:
    repository = cache / f"models--{model_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "b").write_bytes(bytes(size))
    (snapshot / "model.safetensors").symlink_to("../../blobs/b")


def test_a_cached_model_has_its_size(
    models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cache_model(tmp_path, "Qwen/Qwen2.5-0.5B-Instruct", 3 << 20)
    done = models()
    assert row(done, "qwen2.5:0.5b") == [
        "qwen2.5:0.5b",
        "Qwen/Qwen2.5-0.5B-Instruct",
        "494M",
        "3.0 MiB",
        "",
    ]
    assert "qwen:72b" not in done.out
    assert "more can be pulled: sizeup models --all" in done.out


def test_all_lists_the_whole_catalog(models: Any) -> None:
    done = models("--all")
    assert row(done, "qwen:72b") == ["qwen:72b", "Qwen/Qwen1.5-72B-Chat", "72.3B", "", ""]
    assert "can be pulled" not in done.out


def test_served_models_are_marked(models: Any, gateway: FakeGateway) -> None:
    gateway.names = ["qwen:0.5b", "Qwen/Qwen3-0.6B:latest", "other:latest"]
    done = models()
    assert row(done, "qwen:0.5b")[4] == "yes"
    assert row(done, "qwen3:0.6b")[4] == "yes"
    assert row(done, "other:latest")[4] == "yes"


def test_the_list_needs_no_gateway(models: Any) -> None:
    done = models("--url", "http://127.0.0.1:1", "--all")
    assert done.code == 0
    assert "no gateway at http://127.0.0.1:1" in done.out


def test_a_catalog_of_the_user_is_listed(models: Any, tmp_path: Path) -> None:
    own = {"models": {"mine": {"id": "me/mine", "names": ["mine:1b"], "parameters": 10**9}}}
    (tmp_path / "own.yaml").write_text(json.dumps(own))
    done = models("--all", "--catalog", str(tmp_path / "own.yaml"))
    assert row(done, "mine:1b")[1] == "me/mine"


def test_an_invalid_catalog_is_a_one_line_error(models: Any, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("models: {x: {id: ../../etc/passwd, names: [a]}}")
    done = models("--catalog", str(tmp_path / "own.yaml"))
    assert done.code == 1
    assert done.err.startswith(f"sizeup: {tmp_path}/own.yaml: models.x.id: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("count", "text"), [(494_000_000, "494M"), (7_720_000_000, "7.72B"), (235 * 10**9, "235B")]
)
def test_numbers_of_parameters_are_short(count: int, text: str) -> None:
    assert short_count(count) == text
