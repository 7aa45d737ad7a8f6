"""`python -m sizeup_inference.wait` as the process an init container runs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.test_main import DEADLINE_SECONDS, free_port, process
from inference.test_shutdown import refusal
from inference.test_weights import cached_model
from sizeup_inference.download import DownloadState, progress_path, write_progress
from sizeup_inference.weights import write_marker

MODEL = "Qwen/tiny"
WAIT = ("-m", "sizeup_inference.wait")


@contextmanager
def waiting(
    cache: Path, port: int, monkeypatch: pytest.MonkeyPatch, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    with process(port, WAIT, MODEL=MODEL, **settings) as started:
        yield started


def until_readyz(port: int, state: dict[str, Any]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    got: object = None
    while time.monotonic() < end:
        try:
            got = refusal(f"http://127.0.0.1:{port}/readyz")
        except OSError as error:
            got = error
        if got == (503, state):
            return
        time.sleep(0.02)
    raise AssertionError(got)


def complete(cache: Path) -> None:
    snapshot = cached_model(cache)
    write_marker(snapshot, [snapshot / "model.safetensors"])


def test_it_shows_the_download_and_ends_when_that_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    path = progress_path(MODEL, None, tmp_path)
    with waiting(tmp_path, port, monkeypatch) as running:
        begin = "waiting for the download to begin"
        until_readyz(port, {"state": "downloading", "stage": begin, "progress": 0.0})
        assert refusal(f"http://127.0.0.1:{port}/livez") == (200, {"state": "alive"})
        for state in ("failed", "downloading"):  # whoever failed may be started again
            write_progress(path, DownloadState(state, 0.5, f"{state}: why"))
            until_readyz(port, {"state": state, "stage": f"{state}: why", "progress": 0.5})
        (tmp_path / "elsewhere").mkdir()
        complete(tmp_path)
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
        assert "model.complete" in [json.loads(line)["event"] for line in log.splitlines()]


def test_a_model_that_is_there_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(tmp_path)
    with waiting(tmp_path, free_port(), monkeypatch) as running:
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0


def test_sigterm_ends_it_without_saying_that_the_model_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with waiting(tmp_path / "not-made-yet", port, monkeypatch, DRAIN_SECONDS="3600") as running:
        begin = "waiting for the download to begin"
        until_readyz(port, {"state": "downloading", "stage": begin, "progress": 0.0})
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 143


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'tokenizers'));"
        "import sizeup_inference.wait"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == 0
