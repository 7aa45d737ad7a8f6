"""`python -m sizeup_inference.wait_for_download`, the process of the init container."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from inference.serving import until
from inference.test_main import DEADLINE_SECONDS, free_port, process
from inference.test_shutdown import fetch
from sizeup_inference import wait_for_download
from sizeup_inference.settings import Settings
from sizeup_inference.wait_for_download import Wait
from sizeup_store import progress
from sizeup_store.markers import write_marker
from sizeup_store.progress import DownloadState, progress_path, write_progress
from store.test_weights import cached_model

MODEL = "Qwen/tiny"
WAIT = ("-m", "sizeup_inference.wait_for_download")
NOT_BEGUN = {"state": "downloading", "stage": DownloadState().message, "progress": 0.0}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(wait_for_download, "_POLL_SECONDS", 0.002)
    return tmp_path


def complete(cache: Path) -> None:
    snapshot = cached_model(cache)
    write_marker(snapshot, [snapshot / "model.safetensors"])


class Waiting:
    """A wait on the loop of a test."""

    def __init__(self, draft: str | None = None) -> None:
        self.codes: list[int] = []
        self.wait = Wait(Settings(model=MODEL, draft_model=draft), self.codes.append)
        # Without its lifespan: the test runs the wait.
        self._client = TestClient(self.wait.app(), "http://localhost")

    def readyz(self) -> tuple[int, Any]:
        response = self._client.get("/readyz")
        return response.status_code, response.json()

    async def until(self, state: dict[str, Any]) -> None:
        await until(lambda: self.readyz() == (503, state))


@contextlib.asynccontextmanager
async def waiting(draft: str | None = None) -> AsyncIterator[Waiting]:
    made = Waiting(draft)
    task = asyncio.create_task(made.wait.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait((task,))


def test_it_reports_the_download_and_ends_once_it_is_complete(cache: Path) -> None:
    path = progress_path(MODEL, None, cache)

    async def scenario() -> None:
        async with waiting() as made:
            await made.until(NOT_BEGUN)
            for state in ("failed", "downloading"):  # a failed download may be restarted
                write_progress(path, DownloadState(state, 0.5, "detail"))
                await made.until({"state": state, "stage": "detail", "progress": 0.5})
            assert made.codes == []
            complete(cache)
            await until(lambda: made.codes == [0])

    asyncio.run(scenario())


def test_it_waits_for_the_draft_model_too(cache: Path) -> None:
    draft = "Qwen/tinier"
    path = progress_path(draft, None, cache)

    async def scenario() -> None:
        async with waiting(draft) as made:
            await made.until(NOT_BEGUN)
            complete(cache)
            write_progress(path, DownloadState("downloading", 0.5, "detail"))
            await made.until({"state": "downloading", "stage": "detail", "progress": 0.5})
            assert made.codes == []
            # The other model's files stand for its own.
            folder = cache / "models--Qwen--tiny"
            shutil.copytree(
                folder, cache / "models--Qwen--tinier", symlinks=True, dirs_exist_ok=True
            )
            await until(lambda: made.codes == [0])

    asyncio.run(scenario())


def test_what_nothing_downloads_is_an_error_until_it_is_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_for_download, "_CHECK_SECONDS", 0.002)
    monkeypatch.setenv("SIZEUP_INFERENCE_AWAIT_DOWNLOAD", "false")

    async def scenario() -> None:
        async with waiting() as made:
            await until(lambda: made.readyz()[1]["state"] == "failed")
            assert str(cache) in made.readyz()[1]["stage"]
            snapshot = cached_model(cache)  # as other tools leave it: without a marker
            await until(lambda: "tokenizer.json" in made.readyz()[1]["stage"])
            assert made.codes == []
            (snapshot / "tokenizer.json").write_text("{}")
            await until(lambda: made.codes == [0])

    asyncio.run(scenario())


def test_an_unreadable_volume_is_logged_once_and_waited_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    polls: list[None] = []

    def stale(*_: object) -> bool:
        polls.append(None)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(cache))

    stage = f"cannot read {cache}: {os.strerror(errno.ESTALE)}"

    async def scenario() -> None:
        async with waiting() as made:
            with monkeypatch.context() as patched:
                patched.setattr(wait_for_download, "is_complete", stale)
                await made.until({"state": "failed", "stage": stage, "progress": 0.0})
                await until(lambda: len(polls) >= 3)
            await made.until(NOT_BEGUN)
            complete(cache)
            await until(lambda: made.codes == [0])

    with caplog.at_level(logging.INFO, logger=wait_for_download.__name__):
        asyncio.run(scenario())
    assert [vars(r).get("stage") for r in caplog.records].count(stage) == 1


def test_unreadable_progress_is_a_failure(cache: Path) -> None:
    path = progress_path(MODEL, None, cache)
    path.mkdir(parents=True)
    stage = f"cannot read {path}: {os.strerror(errno.EISDIR)}"

    async def scenario() -> None:
        async with waiting() as made:
            await made.until({"state": "failed", "stage": stage, "progress": 0.0})

    asyncio.run(scenario())


def test_an_unexpected_error_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wait_for_download, "is_complete", lambda *_: 1 / 0)

    async def scenario() -> None:
        async with waiting() as made:
            await until(lambda: made.codes == [1])

    asyncio.run(scenario())
    assert "wait.failed" in [record.getMessage() for record in caplog.records]


def test_a_download_without_heartbeat_is_a_failure(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_DEAD_SECONDS", 0.0)
    write_progress(
        progress_path(MODEL, None, cache), DownloadState("downloading", 0.5, "detail", beat=7)
    )

    async def scenario() -> None:
        async with waiting() as made:
            await until(lambda: made.readyz()[1]["state"] == "failed")
            assert made.readyz()[1]["progress"] == 0.5
            complete(cache)
            await until(lambda: made.codes == [0])

    asyncio.run(scenario())


def until_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def reports(port: int, state: dict[str, Any], host: str = "127.0.0.1") -> bool:
    try:
        return fetch(f"http://{host}:{port}/readyz") == (503, state)
    except OSError:
        return False


def test_the_process_exits_with_0_once_the_model_is_complete(cache: Path) -> None:
    port = free_port()
    with process(port, WAIT, MODEL=MODEL) as running:
        until_true(lambda: reports(port, NOT_BEGUN))
        assert fetch(f"http://127.0.0.1:{port}/livez") == (200, {"state": "alive"})
        complete(cache)
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
        assert "model.complete" in [json.loads(line)["event"] for line in log.splitlines()]


def test_the_process_exits_with_143_when_terminated(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(cache / "not-created"))
    port = free_port()
    with process(port, WAIT, MODEL=MODEL, DRAIN_SECONDS="3600") as running:
        until_true(lambda: reports(port, NOT_BEGUN))
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 143


def test_it_does_not_import_torch() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'tokenizers'));"
        "import sizeup_inference.wait_for_download"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == 0
