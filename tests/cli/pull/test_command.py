"""`sizeup pull` in a Job: lines, metrics, progress file, exit codes, permissions."""

import io
import re
import signal
import socket
import stat
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.children import wait_until
from cli.command import Command
from hub_server import MODEL_ID, WEIGHTS, HubServer, Mode, sha256
from sizeup.models.catalog import load_catalog
from sizeup.models.local_models import ModelRegistry
from sizeup.pull.console_report import PlainPullReport
from sizeup.pull.progress_file import ProgressFile
from sizeup.pull.throttle import Throttle
from sizeup.settings import Settings
from sizeup_store.progress import (
    DownloadState,
    Pulse,
    is_complete,
    progress_path,
    read_progress,
    write_progress,
)
from sizeup_store.pull_report import PullProgress, PullReport
from store.pulling import DEADLINE_SECONDS, MAIN, is_loadable, partial_files, pull_command, run_pull

MIB = 2**20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_throttle_allows_one_event_per_interval() -> None:
    throttle = Throttle(5.0)
    assert [throttle.is_due(now) for now in (0.0, 4.9, 5.0, 9.9, 20.0)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_progress_lines_are_throttled() -> None:
    clock, out = Clock(), io.StringIO()
    report = PlainPullReport(Console(file=out, width=40), clock)
    report.plan(2, 1024 * MIB)
    report.file(WEIGHTS, 1000 * MIB)
    report.resumed(200 * MIB)
    for clock.now in range(10):
        report.received(10 * MIB)
    assert out.getvalue().splitlines() == [
        "2 files, 1.00 GiB; already downloaded: 0 files, 0.00 GiB",
        f"{WEIGHTS} (1,000.0 MiB)",
        "0.25 of 1.00 GiB (25%), 12.0 MiB/s",
    ]


def test_retry_lines_are_throttled() -> None:
    clock, out = Clock(), io.StringIO()
    report = PlainPullReport(Console(file=out), clock)
    for clock.now in range(12):
        report.retry(f"failure {clock.now}")
    assert out.getvalue().splitlines() == [f"retrying: failure {i}" for i in (0, 5, 10)]


def test_discarded_bytes_are_received_but_not_downloaded() -> None:
    report = PullReport()
    report.plan(2, 300)
    report.verified(100)
    report.file("a", 200)
    report.resumed(50)
    report.received(100)
    assert (report.progress.downloaded, report.progress.fraction) == (250, 250 / 300)
    report.resumed(-150)
    report.received(200)
    report.verified(200)
    assert report.progress.downloaded == 300
    assert report.progress.received == 300
    assert report.progress.files_verified == 2


def test_the_progress_file_is_throttled_except_for_its_end(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "folder" / "main.progress"
    report, file = PullReport(), ProgressFile(path, clock)
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


def test_an_unwritable_progress_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = ProgressFile(tmp_path / "file" / "main.progress", Clock())
    file.fail(PullReport().progress, "why")
    file.remove()


def test_the_progress_file_beats_while_no_counter_changes(tmp_path: Path) -> None:
    path, report = tmp_path / "main.progress", PullReport()
    report.file(WEIGHTS, 100)
    with ProgressFile(path, Clock()).beating(report.progress, seconds=0.01):
        wait_until(lambda: read_progress(path).beat >= 3)
    last = read_progress(path)
    assert last == DownloadState("downloading", 0.0, f"downloading {WEIGHTS}", last.beat)


class NotStarted(PullProgress):
    """A pull before its first file, which counts the reads of `started`."""

    reads = 0

    @property
    def started(self) -> bool:
        NotStarted.reads += 1
        return False


def test_a_pull_waiting_for_the_lock_does_not_write_the_progress_file(tmp_path: Path) -> None:
    path, other = tmp_path / "main.progress", DownloadState("downloading", 0.5, "other", 7)
    with ProgressFile(path, Clock()).beating(NotStarted(), seconds=0.01):
        write_progress(path, other)
        before = NotStarted.reads
        wait_until(lambda: NotStarted.reads >= before + 3)
    assert read_progress(path) == other


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


def test_the_progress_is_in_metrics_and_file(
    held: HubServer, tmp_path: Path, free_port: int
) -> None:
    path = progress_path(MODEL_ID, None, tmp_path)
    arguments = ("--metrics-port", str(free_port), "--progress-file")
    with pull_command(held, tmp_path, MAIN, *arguments) as process:
        whole = sum(len(held.files[n]) for n in ("config.json", "tokenizer.json", "LICENSE"))
        half = whole + len(held.files[WEIGHTS]) // 2
        wait_until(
            lambda: f'downloaded_bytes{{model="{MODEL_ID}"}} {float(half)}' in scrape(free_port)
        )
        assert f'sizeup_pull_received_bytes_total{{model="{MODEL_ID}"}} {float(half)}' in scrape(
            free_port
        )
        assert f'sizeup_pull_downloaded_files{{model="{MODEL_ID}"}} 3.0' in scrape(free_port)
        assert bool(scrape(free_port, "[::1]")) == socket.has_dualstack_ipv6()
        assert read_progress(path).state == "downloading"
        assert not is_complete(MODEL_ID, None, tmp_path)
        held.release.set()
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert b"4 files, 0.00 GiB; already downloaded: 3 files, 0.00 GiB\n" in out
    assert is_complete(MODEL_ID, None, tmp_path)
    assert not path.exists()


def scrape(port: int, host: str = "127.0.0.1") -> str:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as response:
            text: str = response.read().decode()
            return text
    except OSError:  # not serving yet
        return ""


@pytest.fixture
def pull(
    hub: HubServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Command]:
    """Run `sizeup pull` in this process."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("SIZEUP_HUB_BACKOFF_SECONDS", "0.01")

    def run(*options: str) -> Command:
        arguments = ("pull", MODEL_ID, "--cache", str(tmp_path / "cache"), *options)
        return Command(capsys, monkeypatch, *arguments)

    return run


def test_success_and_failure(pull: Callable[..., Command], hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.FLIPPED_BYTE
    failed = pull()
    assert failed.code == 1
    assert failed.err.startswith("sizeup: model.safetensors: ")
    assert failed.err.count("\n") == 1
    hub.mode = Mode.OK
    assert pull().code == 0
    assert is_loadable(tmp_path / "cache")


def test_hf_hub_offline_makes_no_request(
    pull: Callable[..., Command], hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = pull()
    assert done.code == 1
    assert f"{MODEL_ID} is not complete" in done.err
    assert hub.seen == []


@pytest.mark.parametrize("option", ["--metrics-port", "--health-port"])
def test_a_port_in_use_is_named(pull: Callable[..., Command], option: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        done = pull(option, str(taken.getsockname()[1]))
    assert done.code == 1
    assert option in done.err


@pytest.mark.parametrize(
    ("mode", "code"), [(Mode.API_NOT_FOUND, 3), (Mode.UNAVAILABLE, 1), (Mode.FLIPPED_BYTE, 1)]
)
def test_a_failure_is_in_the_progress_file(
    pull: Callable[..., Command], hub: HubServer, tmp_path: Path, mode: Mode, code: int
) -> None:
    hub.mode = mode
    done = pull("--progress-file", "--revision", "v1")
    assert done.code == code
    state = read_progress(progress_path(MODEL_ID, "v1", tmp_path / "cache"))
    assert state.state == "failed"
    assert done.err == f"sizeup: {state.message}\n"


def test_a_failure_leaves_no_files_without_the_option(
    pull: Callable[..., Command], hub: HubServer, tmp_path: Path
) -> None:
    hub.mode = Mode.API_NOT_FOUND
    assert pull().code == 3
    assert not (tmp_path / "cache").exists()


def state_after(number: signal.Signals, hub: HubServer, cache: Path) -> DownloadState:
    """Signal a download in the middle of the weights; return its last progress."""
    with pull_command(hub, cache, MAIN, "--progress-file") as process:
        digest = sha256(hub.files[WEIGHTS])
        wait_until(lambda: any(d.stat().st_size for d in cache.rglob(f"{digest}*.incomplete")))
        process.send_signal(number)
        process.communicate(timeout=DEADLINE_SECONDS)
    return read_progress(progress_path(MODEL_ID, None, cache))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_download_is_marked_failed(
    held: HubServer, tmp_path: Path, number: signal.Signals
) -> None:
    left = state_after(number, held, tmp_path)
    assert (left.state, left.message) == ("failed", "the download was stopped")


def test_a_killed_download_is_detected_by_its_pulse(held: HubServer, tmp_path: Path) -> None:
    left = state_after(signal.SIGKILL, held, tmp_path)
    pulse = Pulse()
    assert pulse.judge(left, 0.0).state == "downloading"
    assert pulse.judge(left, 1e9).state == "failed"


def test_the_file_of_a_terminated_pull_is_resumed_at_once(held: HubServer, tmp_path: Path) -> None:
    on_another_host = "import socket; socket.gethostname = lambda: 'pod-1'; " + MAIN
    with pull_command(held, tmp_path, on_another_host) as process:
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
    assert partial_files(tmp_path) == []
    (stored,) = [seen for seen in held.seen if seen.server == "store"]
    assert re.fullmatch(r"bytes=[1-9]\d*-", stored.range or "")


def test_the_umask_makes_the_cache_readable_for_others(hub: HubServer, tmp_path: Path) -> None:
    program = f"import os; os.umask(0o077); {MAIN}"
    with pull_command(hub, tmp_path / "cache", program, SIZEUP_UMASK="022") as process:
        process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    for path in (tmp_path / "cache" / "models--Qwen--Tiny").rglob("*"):
        needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        assert path.stat().st_mode & needed == needed, path


NAMELESS = """
import pwd, os
def unknown(*_): raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = unknown
"""
"""A user id without a name in the image, as OpenShift assigns them."""


def test_a_user_without_a_name_can_pull(hub: HubServer, tmp_path: Path) -> None:
    arguments = (NAMELESS + MAIN, "--progress-file")
    with pull_command(hub, tmp_path, *arguments, HOME="/tmp", USER="", LOGNAME="") as process:
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert is_loadable(tmp_path)


def test_a_hub_id_is_not_a_toy_model() -> None:
    settings = Settings()
    _, entry = ModelRegistry(load_catalog(settings, None), settings).resolve("sizeup/toy-5m")
    assert entry.id == "sizeup/toy-5m"


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_token_file_that_others_can_read_is_named(
    hub: HubServer, tmp_path: Path, mode: int
) -> None:
    token = tmp_path / "token"
    token.write_text("hf_secret")
    token.chmod(mode)
    with pull_command(hub, tmp_path / "cache", HF_TOKEN_PATH=str(token)) as process:
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, err
    assert (b"mode 0644" in out) == (mode == 0o644)
    assert b"hf_secret" not in out + err
