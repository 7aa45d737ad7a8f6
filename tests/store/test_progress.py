from pathlib import Path

import pytest

from sizeup_store.markers import marker_path, write_marker
from sizeup_store.progress import (
    DownloadState,
    Pulse,
    is_complete,
    progress_path,
    read_progress,
    write_progress,
)
from store.test_weights import COMMIT, cached_model, whole_model

MODEL = "Qwen/tiny"


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_model_with_marker_is_complete(tmp_path: Path, revision: str | None) -> None:
    snapshot = cached_model(tmp_path)
    assert not is_complete(MODEL, revision, tmp_path)
    write_marker(snapshot, [snapshot / "model.safetensors"])
    assert marker_path(snapshot).name == f"{COMMIT}.complete"
    assert is_complete(MODEL, revision, tmp_path)


@pytest.mark.parametrize(
    ("model", "revision"), [(MODEL, "v2"), ("Qwen/other", None), ("tiny", None)]
)
def test_a_missing_model_is_not_complete(tmp_path: Path, model: str, revision: str | None) -> None:
    snapshot = cached_model(tmp_path)
    write_marker(snapshot, [snapshot / "model.safetensors"])
    assert not is_complete(model, revision, tmp_path)


def test_a_marker_without_files_is_not_complete(tmp_path: Path) -> None:
    snapshot = cached_model(tmp_path)
    write_marker(snapshot, [snapshot / "model.safetensors"])
    (snapshot / "config.json").resolve().unlink()
    assert not is_complete(MODEL, None, tmp_path)


def test_a_folder_needs_no_download(tmp_path: Path) -> None:
    assert is_complete(str(whole_model(tmp_path / "model")), None, tmp_path / "cache")


@pytest.mark.parametrize("revision", [None, "main", "release/v1", "../../x"])
def test_the_progress_file_round_trips_beside_the_marker(
    tmp_path: Path, revision: str | None
) -> None:
    path = progress_path(MODEL, revision, tmp_path)
    assert path.parent == tmp_path / "models--Qwen--tiny" / ".sizeup"
    state = DownloadState("failed", 0.25, "huggingface.co answered 404: 没有", 3)
    write_progress(path, state)
    assert read_progress(path) == state
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b'{"state": "failed"}', b'{"state": 1, "progress": "x", "message": 2}',
     b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_an_invalid_progress_file_is_the_default(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "main.progress"
    path.write_bytes(value)
    assert read_progress(path) == DownloadState()
    assert read_progress(tmp_path / "nowhere") == DownloadState()


def test_an_unreadable_progress_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_progress(tmp_path)


@pytest.mark.parametrize(("value", "progress"), [("7", 1.0), ("-1", 0.0), ("1e999", 1.0)])
def test_progress_is_a_fraction(tmp_path: Path, value: str, progress: float) -> None:
    path = tmp_path / "main.progress"
    path.write_text(f'{{"state": "downloading", "progress": {value}, "message": ""}}')
    assert read_progress(path).progress == progress


@pytest.mark.parametrize("value", ["null", "1e999", '"7"', "[]"])
def test_a_beat_is_an_integer(tmp_path: Path, value: str) -> None:
    path = tmp_path / "main.progress"
    path.write_text(f'{{"state": "downloading", "progress": 0, "message": "", "beat": {value}}}')
    assert read_progress(path).beat == 0


def test_a_download_without_heartbeat_is_dead_until_the_next() -> None:
    pulse = Pulse()
    first, second = (DownloadState("downloading", 0.5, "", beat) for beat in (1, 2))
    assert pulse.judge(first, 1000.0) == first
    assert pulse.judge(first, 1180.0) == first
    dead = pulse.judge(first, 1180.1)
    assert (dead.state, dead.progress) == ("failed", 0.5)
    assert pulse.judge(second, 1180.2) == second


@pytest.mark.parametrize("state", [DownloadState(), DownloadState("failed", 0.5, "why", 3)])
def test_a_download_that_has_not_started_or_has_failed_does_not_die(state: DownloadState) -> None:
    pulse = Pulse()
    assert [pulse.judge(state, now) for now in (0.0, 1e9)] == [state, state]
