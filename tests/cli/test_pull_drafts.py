"""What a pull that did not end has left: taken over, waited for, left alone or cleared away."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.pulling import RecordingReport, drafts, is_loadable, run_pull
from hub_server import WEIGHTS, HubServer, Mode, sha256


def leave_draft(cache: Path, content: bytes, digest: str) -> Path:
    blobs = cache / "models--Qwen--Tiny" / "blobs"
    blobs.mkdir(parents=True)
    path = blobs / f"{digest}.incomplete"
    path.write_bytes(content)
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("mode", [Mode.OK, Mode.NO_RANGES])
def test_an_abandoned_draft_is_gone_on_with(hub: HubServer, tmp_path: Path, mode: Mode) -> None:
    hub.mode = mode
    content = hub.files[WEIGHTS]
    leave_draft(tmp_path, content[:100_000], sha256(content))
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert is_loadable(tmp_path)
    assert [seen.range for seen in hub.seen if seen.server == "store"] == ["bytes=100000-"]
    assert report.came == report.sizes
    assert drafts(tmp_path) == []


@pytest.mark.parametrize("rubbish", [b"rubbish", b"x" * 400_000, b""])
def test_an_abandoned_draft_of_other_bytes_does_no_harm(
    hub: HubServer, tmp_path: Path, rubbish: bytes
) -> None:
    leave_draft(tmp_path, rubbish, sha256(hub.files[WEIGHTS]))
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert is_loadable(tmp_path)
    assert report.came == report.sizes
    assert drafts(tmp_path) == []


def test_the_draft_of_a_live_process_here_is_left_alone_and_a_dead_ones_is_not(
    hub: HubServer, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    digest = sha256(hub.files[WEIGHTS])
    blobs = leave_draft(tmp_path, b"", digest).parent
    host = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())
    live, dead = (
        blobs / f"{digest}.{host}.{pid}.0.incomplete" for pid in (os.getppid(), ended.pid)
    )
    for draft in (live, dead):
        draft.write_bytes(b"theirs")
    run_pull(hub, tmp_path)
    assert live.exists()
    assert not dead.exists()


class OnNote(RecordingReport):
    """Does something when it is first told that a pull waits."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def note(self, line: str) -> None:
        super().note(line)
        if line.startswith("a download was begun elsewhere") and len(self.notes) == 1:
            self._act()


def leave_fresh_draft(cache: Path, content: bytes, digest: str) -> Path:
    """Leave what a pod that was killed a moment ago had got."""
    old = leave_draft(cache, content, digest)
    draft = old.rename(old.with_name(f"{digest}.pod-1.1.0123456789abcdef.incomplete"))
    os.utime(draft)
    return draft


def test_the_draft_of_a_live_process_elsewhere_is_left_alone(
    hub: HubServer, tmp_path: Path
) -> None:
    draft = leave_fresh_draft(tmp_path, b"the", sha256(hub.files[WEIGHTS]))
    run_pull(hub, tmp_path, report=OnNote(lambda: draft.write_bytes(b"theirs")))
    assert is_loadable(tmp_path)
    assert draft.read_bytes() == b"theirs"


def test_the_draft_of_a_process_killed_elsewhere_is_waited_for_and_gone_on_with(
    hub: HubServer, tmp_path: Path
) -> None:
    content = hub.files[WEIGHTS]
    draft = leave_fresh_draft(tmp_path, content[:100_000], sha256(content))
    run_pull(hub, tmp_path, report=OnNote(lambda: os.utime(draft, (1, 1))))  # its time passes
    assert is_loadable(tmp_path)
    assert [seen.range for seen in hub.seen if seen.server == "store"] == ["bytes=100000-"]
    assert drafts(tmp_path) == []


def test_a_draft_from_a_clock_that_is_fast_is_not_waited_for_for_ever(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sizeup.hub.pull._PATIENCE", 0.0)
    draft = leave_fresh_draft(tmp_path, b"theirs", sha256(hub.files[WEIGHTS]))
    os.utime(draft, (2**32, 2**32))
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert draft.exists()


def test_a_pull_clears_away_what_was_begun_for_another_commit(
    hub: HubServer, tmp_path: Path
) -> None:
    left = leave_draft(tmp_path, b"theirs", "0" * 64)
    ours = ("pod-1.1.0123456789abcdef", "0123456789abcdef.released")
    for name in ours:
        draft = left.with_name(f"{'f' * 64}.{name}.incomplete")
        draft.write_bytes(b"ours")
        os.utime(draft, (1, 1))
    run_pull(hub, tmp_path)
    assert drafts(tmp_path) == [left], "huggingface_hub's own is not ours to delete"
