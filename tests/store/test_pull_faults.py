import errno
import fcntl
import os
import signal
from pathlib import Path
from typing import IO, Any, Self

import pytest

from cli.children import wait_until
from hub_server import (
    COMMIT,
    WEIGHTS,
    HubServer,
    Mode,
    running_hub,
    safetensors_bytes,
    sha256,
    tiny_model,
)
from sizeup_store.errors import (
    CorruptFileError,
    DiskError,
    HubRefusedError,
    HubResponseError,
    HubUnreachableError,
    PullError,
    UnsupportedModelError,
)
from store.pulling import (
    DEADLINE_SECONDS,
    RecordingReport,
    is_loadable,
    partial_files,
    pull_command,
    run_pull,
)


def test_a_commit_other_than_the_requested_one_is_rejected(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(HubResponseError, match="instead of"):
        run_pull(hub, tmp_path, revision="f" * 40)
    assert not is_loadable(tmp_path, COMMIT)


def test_a_corrupt_blob_is_downloaded_again(hub: HubServer, tmp_path: Path) -> None:
    snapshot = run_pull(hub, tmp_path)
    blob = (snapshot / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")
    assert not is_loadable(tmp_path)
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)


def test_transient_errors_are_retried(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.UNAVAILABLE_TWICE
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)


FAULTS = {
    Mode.FLIPPED_BYTE: (CorruptFileError, "checksum mismatch"),
    Mode.TRUNCATED: (HubResponseError, "Content-Length"),
    Mode.LYING_LENGTH: (HubResponseError, "Content-Length"),
    Mode.ENDLESS: (HubResponseError, "too many bytes"),
    Mode.WRONG_SIZE: (HubResponseError, "Content-Length"),
    Mode.SHORT_BODY: (HubUnreachableError, "closed the connection"),
    Mode.HTML: (HubResponseError, "HTML"),
    Mode.API_HTML: (HubResponseError, "JSON"),
    Mode.API_NOT_FOUND: (HubRefusedError, "404"),
    Mode.NOT_FOUND: (HubRefusedError, "404"),
    Mode.FORBIDDEN: (HubRefusedError, "HF_TOKEN"),
    Mode.UNAVAILABLE: (HubUnreachableError, "503"),
    Mode.REDIRECT_LOOP: (HubResponseError, "redirects"),
    Mode.HUGE: (DiskError, "GiB free"),
}


@pytest.mark.parametrize("mode", FAULTS)
def test_a_faulty_hub_raises_its_error_and_leaves_nothing_loadable(
    hub: HubServer, tmp_path: Path, mode: Mode
) -> None:
    hub.mode = mode
    error, words = FAULTS[mode]
    with pytest.raises(error, match=words):
        run_pull(hub, tmp_path)
    assert not is_loadable(tmp_path)
    assert not is_loadable(tmp_path, COMMIT)


@pytest.mark.parametrize("mode", FAULTS)
def test_a_pull_succeeds_after_any_fault(hub: HubServer, tmp_path: Path, mode: Mode) -> None:
    hub.mode = mode
    with pytest.raises(PullError):
        run_pull(hub, tmp_path)
    hub.mode = Mode.OK
    snapshot = run_pull(hub, tmp_path)
    assert (snapshot / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert is_loadable(tmp_path)
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize("mode", [mode for mode in FAULTS if mode is not Mode.UNAVAILABLE])
def test_a_fault_leaves_the_cached_model_loadable(
    hub: HubServer, tmp_path: Path, mode: Mode
) -> None:
    run_pull(hub, tmp_path)
    hub.files = tiny_model() | {WEIGHTS: safetensors_bytes(seed=2)}
    hub.mode = mode
    with pytest.raises(PullError):
        run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.HALF_THEN_HOLD])
def test_a_silent_hub_times_out(hub: HubServer, tmp_path: Path, mode: Mode) -> None:
    hub.mode = mode
    with pytest.raises(HubUnreachableError, match="silent"):
        run_pull(hub, tmp_path, silence_seconds=0.2)
    assert not is_loadable(tmp_path)


def test_a_refused_connection_is_reported(tmp_path: Path) -> None:
    with running_hub() as server:
        pass
    with pytest.raises(HubUnreachableError, match="cannot connect"):
        run_pull(server, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({WEIGHTS: None}, "no safetensors"),
        ({WEIGHTS: None, "model-q4_0.gguf": b"GGUF"}, "GGUF"),
        ({"config.json": None}, r"no config\.json"),
        ({"config.json": b'{"quantization_config": {"quant_method": "awq"}}'}, "AWQ"),
        ({"config.json": b'{"auto_map": {"AutoModel": "modeling_tiny.M"}}'}, "auto_map"),
        ({"config.json": b"<html>"}, "JSON"),
        ({WEIGHTS: None, "model.safetensors.index.json": b'{"weight_map": {"a": "../x"}}'}, "x"),
        (
            {
                WEIGHTS: None,
                "model.safetensors.index.json": b'{"weight_map": {"a": "missing.safetensors"}}',
            },
            "missing",
        ),
    ],
)
def test_an_unsupported_model_is_rejected_before_its_weights(
    tmp_path: Path, change: dict[str, bytes | None], words: str
) -> None:
    files = {name: content for name, content in (tiny_model() | change).items() if content}
    with running_hub(files) as server, pytest.raises(UnsupportedModelError, match=words):
        run_pull(server, tmp_path)
    assert not [seen for seen in server.seen if seen.server == "store"]
    assert not is_loadable(tmp_path)


def test_a_file_that_was_uploaded_corrupt_is_rejected(tmp_path: Path) -> None:
    files = tiny_model() | {WEIGHTS: safetensors_bytes()[:-5]}
    with running_hub(files) as server, pytest.raises(CorruptFileError, match="header"):
        run_pull(server, tmp_path)
    assert not is_loadable(tmp_path)


def test_the_pull_after_sigkill_resumes(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.HALF_THEN_HOLD
    with pull_command(hub, tmp_path) as process:
        # Sent by the hub is not yet written by the command
        digest = sha256(hub.files[WEIGHTS])
        wait_until(lambda: any(d.stat().st_size for d in tmp_path.rglob(f"{digest}*.incomplete")))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE_SECONDS)
    assert not is_loadable(tmp_path)
    hub.mode = Mode.OK
    hub.release.set()
    hub.seen.clear()
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert partial_files(tmp_path) == []
    (stored,) = [seen for seen in hub.seen if seen.server == "store"]
    assert stored.range is not None


NO_LOCKS = "import fcntl; fcntl.flock = lambda *_: None; from sizeup.main import main; main()"
"""As on network file systems that grant every lock."""


def test_concurrent_pulls_download_once(hub: HubServer, tmp_path: Path) -> None:
    processes = [pull_command(hub, tmp_path) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
        assert (process.returncode, err) == (0, b"")
    assert is_loadable(tmp_path)
    assert len([seen for seen in hub.seen if seen.server == "store"]) == 1


def test_concurrent_pulls_are_safe_without_locks(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.HALF_THEN_HOLD  # all three are in the middle at the same time
    processes = [pull_command(hub, tmp_path, NO_LOCKS) for _ in range(3)]
    wait_until(lambda: len([seen for seen in hub.seen if seen.server == "store"]) == 3)
    hub.release.set()
    for process in processes:
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
        assert (process.returncode, err) == (0, b"")
    assert is_loadable(tmp_path)
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_cache_without_locks_is_used_after_a_warning(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert is_loadable(tmp_path)
    assert len([note for note in report.notes if "no file locks" in note]) == 1


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES])
def test_a_held_lock_is_waited_for(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refusals = [OSError(number, os.strerror(number))]

    def refuse_once(_descriptor: int, _operation: int) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(fcntl, "flock", refuse_once)
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert len(report.notes) == 1


class FullDisk:
    """A file on a disk that has room for half of the weights."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file = file
        self._room = room

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        written = self._file.write(data[: self._room])
        self._room -= written
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written


def test_a_pull_resumes_after_the_disk_was_full(hub: HubServer, tmp_path: Path) -> None:
    half = len(hub.files[WEIGHTS]) // 2
    really = Path.open

    def on_full_disk(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        file = really(path, mode, *rest, **named)
        return FullDisk(file, half) if mode == "r+b" else file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", on_full_disk)
        with pytest.raises(DiskError, match="No space left"):
            run_pull(hub, tmp_path)
    assert not is_loadable(tmp_path)
    hub.seen.clear()
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert [seen.range for seen in hub.seen if seen.server == "store"] == [f"bytes={half}-"]
    assert partial_files(tmp_path) == []


def test_sigterm_ends_a_waiting_pull(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.SILENT
    token = "hf_of_this_process"
    with pull_command(hub, tmp_path, HF_TOKEN=token) as process:
        wait_until(lambda: f"Bearer {token}" in [seen.authorization for seen in hub.seen])
        process.terminate()
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (128 + signal.SIGTERM, b"")
