"""A pull that nobody watches: lines, metrics, a file for who waits, exit codes, permissions."""

import io
import re
import signal
import socket
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.children import wait_until
from cli.pulling import DEADLINE_SECONDS, MAIN, drafts, is_loadable, pull_command, run_pull
from hub_server import MODEL_ID, WEIGHTS, HubServer, Mode, sha256
from sizeup.catalogue import load_catalog
from sizeup.hub.progress import CountingReport, Pace, ProgressFile, PullProgress
from sizeup.local_models import Shelf
from sizeup.pull_report import PlainPullReport
from sizeup.settings import Settings
from sizeup_store.progress import (
    DownloadState,
    Pulse,
    is_complete,
    progress_path,
    read_progress,
    write_progress,
)

MIB = 2**20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_pace_is_kept() -> None:
    pace = Pace(5.0)
    assert [pace.is_due(now) for now in (0.0, 4.9, 5.0, 9.9, 20.0)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_lines_come_seldom_and_say_how_far_and_how_fast() -> None:
    clock, out = Clock(), io.StringIO()
    report = PlainPullReport(Console(file=out, width=40), clock)
    report.plan(2, 1024 * MIB)
    report.file(WEIGHTS, 1000 * MIB)
    report.resumed(200 * MIB)
    for clock.now in range(10):
        report.received(10 * MIB)
    assert out.getvalue().splitlines() == [
        "2 files, 1.00 GiB; 0 files, 0.00 GiB are here",
        f"{WEIGHTS} (1,000.0 MiB)",
        "0.25 of 1.00 GiB (25%), 12.0 MiB/s",
    ]


def test_failures_are_told_seldom_too() -> None:
    clock, out = Clock(), io.StringIO()
    report = PlainPullReport(Console(file=out), clock)
    for clock.now in range(12):
        report.retry(f"failure {clock.now}")
    assert out.getvalue().splitlines() == [f"trying again: failure {i}" for i in (0, 5, 10)]


def test_what_is_thrown_away_counts_as_received_and_not_as_here() -> None:
    report = CountingReport()
    report.plan(2, 300)
    report.kept(100)
    report.file("a", 200)
    report.resumed(50)
    report.received(100)
    assert (report.progress.here, report.progress.share) == (250, 250 / 300)
    report.resumed(-150)
    report.received(200)
    report.kept(200)
    assert report.progress.here == 300
    assert report.progress.received == 300
    assert report.progress.files_kept == 2


def test_the_file_is_written_seldom_but_its_end_always(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "folder" / "main.progress"
    report, file = CountingReport(), ProgressFile(path, clock)
    report.watchers.append(file.write)
    report.plan(1, 100)
    report.received(50)
    assert read_progress(path) == DownloadState("downloading", 0.0, "downloading")
    clock.now = 2.0
    report.received(10)
    assert read_progress(path).progress == 0.6
    file.fail(report.progress, "why")
    assert read_progress(path) == DownloadState("failed", 0.6, "why")
    file.remove()
    assert not path.exists()


def test_a_progress_file_that_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = ProgressFile(tmp_path / "file" / "main.progress", Clock())
    file.fail(CountingReport().progress, "why")
    file.remove()


def test_a_download_beats_although_no_number_changes(tmp_path: Path) -> None:
    path, report = tmp_path / "main.progress", CountingReport()
    report.file(WEIGHTS, 100)
    with ProgressFile(path, Clock()).beating(report.progress, seconds=0.01):
        wait_until(lambda: read_progress(path).beat >= 3)
    last = read_progress(path)
    assert last == DownloadState("downloading", 0.0, f"downloading {WEIGHTS}", last.beat)


class Asked(PullProgress):
    """Of a pull that has not come to its first file, and counts how often that is asked."""

    times = 0

    @property
    def begun(self) -> bool:
        Asked.times += 1
        return False


def test_a_pull_that_waits_for_another_leaves_the_beat_to_that(tmp_path: Path) -> None:
    path, theirs = tmp_path / "main.progress", DownloadState("downloading", 0.5, "theirs", 7)
    with ProgressFile(path, Clock()).beating(Asked(), seconds=0.01):
        write_progress(path, theirs)
        before = Asked.times
        wait_until(lambda: Asked.times >= before + 3)
    assert read_progress(path) == theirs


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def held(hub: HubServer) -> Iterator[HubServer]:
    hub.mode = Mode.HALF_THEN_HOLD
    yield hub
    hub.release.set()


def test_the_progress_of_a_download_can_be_seen(
    held: HubServer, tmp_path: Path, free_port: int
) -> None:
    path = progress_path(MODEL_ID, None, tmp_path)
    arguments = ("--metrics-port", str(free_port), "--progress-file")
    with pull_command(held, tmp_path, MAIN, *arguments) as process:
        whole = sum(len(held.files[n]) for n in ("config.json", "tokenizer.json", "LICENSE"))
        half = whole + len(held.files[WEIGHTS]) // 2
        wait_until(lambda: f'here_bytes{{model="{MODEL_ID}"}} {float(half)}' in scrape(free_port))
        assert f'sizeup_pull_bytes_total{{model="{MODEL_ID}"}} {float(half)}' in scrape(free_port)
        assert f'sizeup_pull_here_files{{model="{MODEL_ID}"}} 3.0' in scrape(free_port)
        assert read_progress(path).state == "downloading"
        assert not is_complete(MODEL_ID, None, tmp_path)
        held.release.set()
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert b"4 files, 0.00 GiB; 3 files, 0.00 GiB are here\n" in out
    assert is_complete(MODEL_ID, None, tmp_path)
    assert not path.exists()


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            text: str = response.read().decode()
            return text
    except OSError:  # not there yet
        return ""


def test_a_taken_metrics_port_is_said(hub: HubServer, tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pull_command(hub, tmp_path, MAIN, "--metrics-port", port) as process:
            _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert b"--metrics-port" in err


@pytest.mark.parametrize(
    ("mode", "code"), [(Mode.API_NOT_FOUND, 3), (Mode.UNAVAILABLE, 1), (Mode.FLIPPED_BYTE, 1)]
)
def test_a_failure_is_left_for_who_waits(
    hub: HubServer, tmp_path: Path, mode: Mode, code: int
) -> None:
    hub.mode = mode
    with pull_command(hub, tmp_path, MAIN, "--progress-file", "--revision", "v1") as process:
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == code
    state = read_progress(progress_path(MODEL_ID, "v1", tmp_path))
    assert state.state == "failed"
    assert err.decode() == f"sizeup: {state.message}\n"


def begin_and_end(hub: HubServer, cache: Path, number: signal.Signals) -> DownloadState:
    """End a download in the middle of the weights; return what it has left for who waits."""
    with pull_command(hub, cache, MAIN, "--progress-file") as process:
        digest = sha256(hub.files[WEIGHTS])
        wait_until(lambda: any(d.stat().st_size for d in cache.rglob(f"{digest}*.incomplete")))
        process.send_signal(number)
        process.communicate(timeout=DEADLINE_SECONDS)
    return read_progress(progress_path(MODEL_ID, None, cache))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_download_that_is_told_to_end_says_so(
    held: HubServer, tmp_path: Path, number: signal.Signals
) -> None:
    left = begin_and_end(held, tmp_path, number)
    assert (left.state, left.message) == ("failed", "the download was stopped")


def test_a_download_that_is_killed_is_found_dead(held: HubServer, tmp_path: Path) -> None:
    left = begin_and_end(held, tmp_path, signal.SIGKILL)
    pulse = Pulse()
    assert pulse.judge(left, 0.0).state == "downloading"
    assert pulse.judge(left, 1e9).state == "failed"


def test_without_the_option_nothing_is_left_by_a_failure(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.API_NOT_FOUND
    with pull_command(hub, tmp_path / "cache") as process:
        process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 3
    assert not (tmp_path / "cache").exists()


def test_what_a_terminated_pull_has_begun_is_gone_on_with_at_once(
    held: HubServer, tmp_path: Path
) -> None:
    elsewhere = "import socket; socket.gethostname = lambda: 'pod-1'; " + MAIN
    with pull_command(held, tmp_path, elsewhere) as process:
        digest = sha256(held.files[WEIGHTS])
        wait_until(lambda: any(d.stat().st_size for d in tmp_path.rglob(f"{digest}*.incomplete")))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert not is_loadable(tmp_path)
    held.mode = Mode.OK
    held.release.set()
    held.seen.clear()
    run_pull(held, tmp_path)
    assert drafts(tmp_path) == []
    (stored,) = [seen for seen in held.seen if seen.server == "store"]
    assert re.fullmatch(r"bytes=[1-9]\d*-", stored.range or "")


def test_the_umask_can_be_set_for_a_cache_that_others_read(hub: HubServer, tmp_path: Path) -> None:
    program = f"import os; os.umask(0o077); {MAIN}"
    with pull_command(hub, tmp_path / "cache", program, SIZEUP_UMASK="022") as process:
        process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    for path in (tmp_path / "cache" / "models--Qwen--Tiny").rglob("*"):
        needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        assert path.stat().st_mode & needed == needed, path


NAMELESS = """
import pwd, os
def nobody(*_): raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
"""
"""A user id that the container's image has no name for, as OpenShift gives them."""


def test_a_user_without_a_name_can_pull(hub: HubServer, tmp_path: Path) -> None:
    arguments = (NAMELESS + MAIN, "--progress-file")
    with pull_command(hub, tmp_path, *arguments, HOME="/tmp", USER="", LOGNAME="") as process:
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert is_loadable(tmp_path)


def test_an_id_of_the_hub_is_not_mistaken_for_a_folder_of_the_catalogue() -> None:
    settings = Settings()
    _, entry = Shelf(load_catalog(settings, None), settings).named("sizeup/toy-5m")
    assert entry.id == "sizeup/toy-5m"
