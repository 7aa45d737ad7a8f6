"""`python -m sizeup_inference.wait_for_download`, the process of the init container."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.test_main import DEADLINE_SECONDS, free_port, process
from inference.test_shutdown import fetch
from sizeup_store.progress import DownloadState, progress_path, write_progress
from sizeup_store.weights import write_marker
from store.test_weights import cached_model

MODEL = "Qwen/tiny"
WAIT = ("-m", "sizeup_inference.wait_for_download")


STALE = """
import errno, os, sys
from sizeup_inference import wait_for_download

really = wait_for_download.is_complete

def is_complete(model, revision, cache):
    if (cache / "stale").exists():
        with open(cache / "looks", "a") as looks:
            looks.write("x")
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(cache))
    return really(model, revision, cache)

wait_for_download.is_complete = is_complete
sys.exit(wait_for_download.main())
"""
"""The process, on a volume that cannot be read while a file called `stale` is there."""
BROKEN = """
import sys
from sizeup_inference import wait_for_download

wait_for_download.is_complete = lambda *_: 1 / 0
sys.exit(wait_for_download.main())
"""
"""The process, with a fault of its own."""
HASTY = """
import sys
from sizeup_inference import wait_for_download
from sizeup_store import progress

progress._DEAD_SECONDS = 0.0
sys.exit(wait_for_download.main())
"""
"""The process, which gives up a download that says nothing new between two looks."""


@contextmanager
def waiting(
    cache: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    program: tuple[str, ...] = WAIT,
    **settings: str,
) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    with process(port, program, MODEL=MODEL, **settings) as started:
        yield started


def until_readyz(port: int, state: dict[str, Any]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    got: object = None
    while time.monotonic() < end:
        try:
            got = fetch(f"http://127.0.0.1:{port}/readyz")
        except OSError as error:
            got = error
        if got == (503, state):
            return
        time.sleep(0.02)
    raise AssertionError(got)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


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
        assert fetch(f"http://127.0.0.1:{port}/livez") == (200, {"state": "alive"})
        for state in ("failed", "downloading"):  # a failed download may be restarted
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


def test_a_volume_that_cannot_be_read_is_told_once_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stale").touch()
    port = free_port()
    with waiting(tmp_path, port, monkeypatch, ("-c", STALE)) as running:
        why = f"{tmp_path} cannot be read: {os.strerror(errno.ESTALE)}"
        until_readyz(port, {"state": "failed", "stage": why, "progress": 0.0})
        until(lambda: len((tmp_path / "looks").read_text()) >= 3)
        (tmp_path / "stale").unlink()
        begin = "waiting for the download to begin"
        until_readyz(port, {"state": "downloading", "stage": begin, "progress": 0.0})
        complete(tmp_path)
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
    told = [line for line in map(json.loads, log.splitlines()) if line.get("stage") == why]
    assert len(told) == 1


def test_progress_that_cannot_be_read_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = progress_path(MODEL, None, tmp_path)
    path.mkdir(parents=True)
    port = free_port()
    with waiting(tmp_path, port, monkeypatch):
        why = f"{path} cannot be read: {os.strerror(errno.EISDIR)}"
        until_readyz(port, {"state": "failed", "stage": why, "progress": 0.0})


def test_a_wait_that_breaks_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting(tmp_path, free_port(), monkeypatch, ("-c", BROKEN)) as running:
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 1
    assert "wait.failed" in [json.loads(line)["event"] for line in log.splitlines()]


def test_a_download_that_has_died_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_progress(
        progress_path(MODEL, None, tmp_path), DownloadState("downloading", 0.5, "why", beat=7)
    )
    port = free_port()
    with waiting(tmp_path, port, monkeypatch, ("-c", HASTY)) as running:
        stopped = "the download stopped: no sign of it for 0 s"
        until_readyz(port, {"state": "failed", "stage": stopped, "progress": 0.5})
        complete(tmp_path)
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'tokenizers'));"
        "import sizeup_inference.wait_for_download"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == 0
