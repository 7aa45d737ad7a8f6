"""Partial files of interrupted pulls: resumed, waited for, ignored or deleted."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_server import WEIGHTS, HubServer, Mode, sha256
from store.pulling import RecordingReport, is_loadable, partial_files, run_pull


def leave_partial(cache: Path, content: bytes, digest: str) -> Path:
    blobs = cache / "models--Qwen--Tiny" / "blobs"
    blobs.mkdir(parents=True)
    path = blobs / f"{digest}.incomplete"
    path.write_bytes(content)
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("mode", [Mode.OK, Mode.NO_RANGES])
def test_an_abandoned_file_is_resumed(hub: HubServer, tmp_path: Path, mode: Mode) -> None:
    hub.mode = mode
    content = hub.files[WEIGHTS]
    leave_partial(tmp_path, content[:100_000], sha256(content))
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert is_loadable(tmp_path)
    assert [seen.range for seen in hub.seen if seen.server == "store"] == ["bytes=100000-"]
    assert report.downloaded == report.sizes
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize("rubbish", [b"rubbish", b"x" * 400_000, b""])
def test_an_abandoned_file_of_wrong_bytes_is_replaced(
    hub: HubServer, tmp_path: Path, rubbish: bytes
) -> None:
    leave_partial(tmp_path, rubbish, sha256(hub.files[WEIGHTS]))
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert is_loadable(tmp_path)
    assert report.downloaded == report.sizes
    assert partial_files(tmp_path) == []


def test_files_of_live_processes_are_kept_and_of_dead_ones_deleted(
    hub: HubServer, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    digest = sha256(hub.files[WEIGHTS])
    blobs = leave_partial(tmp_path, b"", digest).parent
    host = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())
    live, dead = (
        blobs / f"{digest}.{host}.{pid}.0.incomplete" for pid in (os.getppid(), ended.pid)
    )
    for partial in (live, dead):
        partial.write_bytes(b"other")
    run_pull(hub, tmp_path)
    assert live.exists()
    assert not dead.exists()


class OnNote(RecordingReport):
    """Calls a function when the pull starts to wait for another host."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def note(self, line: str) -> None:
        super().note(line)
        if line.startswith("waiting for a download") and len(self.notes) == 1:
            self._act()


def leave_recent_partial(cache: Path, content: bytes, digest: str) -> Path:
    """Leave the file of a pod that was killed a moment ago."""
    old = leave_partial(cache, content, digest)
    partial = old.rename(old.with_name(f"{digest}.pod-1.1.0123456789abcdef.incomplete"))
    os.utime(partial)
    return partial


def test_the_file_of_a_live_process_on_another_host_is_kept(hub: HubServer, tmp_path: Path) -> None:
    partial = leave_recent_partial(tmp_path, b"the", sha256(hub.files[WEIGHTS]))
    run_pull(hub, tmp_path, report=OnNote(lambda: partial.write_bytes(b"other")))
    assert is_loadable(tmp_path)
    assert partial.read_bytes() == b"other"


def test_the_file_of_a_killed_process_on_another_host_is_resumed(
    hub: HubServer, tmp_path: Path
) -> None:
    content = hub.files[WEIGHTS]
    partial = leave_recent_partial(tmp_path, content[:100_000], sha256(content))
    run_pull(hub, tmp_path, report=OnNote(lambda: os.utime(partial, (1, 1))))  # abandoned now
    assert is_loadable(tmp_path)
    assert [seen.range for seen in hub.seen if seen.server == "store"] == ["bytes=100000-"]
    assert partial_files(tmp_path) == []


def test_the_wait_for_a_host_with_a_fast_clock_ends(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sizeup_store.pull._ABANDONED_SILENCES", 0.0)
    partial = leave_recent_partial(tmp_path, b"other", sha256(hub.files[WEIGHTS]))
    os.utime(partial, (2**32, 2**32))
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert partial.exists()


def test_a_pull_deletes_abandoned_files_of_other_commits(hub: HubServer, tmp_path: Path) -> None:
    left = leave_partial(tmp_path, b"other", "0" * 64)
    owned = ("pod-1.1.0123456789abcdef", "0123456789abcdef.released")
    for name in owned:
        partial = left.with_name(f"{'f' * 64}.{name}.incomplete")
        partial.write_bytes(b"owned")
        os.utime(partial, (1, 1))
    run_pull(hub, tmp_path)
    assert partial_files(tmp_path) == [left], "files of huggingface_hub are kept"
