"""`sizeup up` with real processes and the fake engine."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.children import DEADLINE_SECONDS, children_of, is_running, wait_until
from cli.command import Command
from hub_server import WEIGHTS, safetensors_bytes


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """Make a complete model folder; the fake engine does not read the weights."""
    folder = tmp_path / "My model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / WEIGHTS).write_bytes(safetensors_bytes(100))
    return folder


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


# Run a program with a closed pipe as stdout: `sizeup up | head -0`.
_CLOSED_PIPE = """
exec "$0" -c 'import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
os.execv(sys.argv[1], sys.argv[1:])' "$0" "$@"
"""


class Up:
    """`sizeup up` as a process."""

    def __init__(
        self, state: Path, *arguments: str, before: tuple[str, ...] = (), **environment: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        state.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "sizeup", "up", *arguments, "--port", str(self.port)],
            env={
                **os.environ,
                "SIZEUP_ENGINE": "fake",
                "SIZEUP_RESTART_SECONDS": "0.02",
                "SIZEUP_DRAIN_SECONDS": "5",
                "XDG_STATE_HOME": str(state),
                "TMPDIR": str(state),  # a killed process leaves files there
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output

    def wait_ready(self) -> None:
        self.wait_for("press Ctrl-C to stop")

    def exit_code(self) -> int:
        """Wait for the process; return its exit code."""
        code = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.exit_code()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def chat(self, **body: Any) -> dict[str, Any]:
        data = json.dumps({"messages": [{"role": "user", "content": "hi"}], **body}).encode()
        with urllib.request.urlopen(f"{self.url}/api/chat", data, DEADLINE_SECONDS) as response:
            chunk: dict[str, Any] = json.loads(response.readlines()[-1])
            return chunk

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=20) as response:
            body: dict[str, Any] = json.loads(response.read())
            return body

    def is_listening(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def is_serving(self) -> bool:
        """Return whether the gateway routes to the model."""
        try:
            return bool(self.chat(model="My-model", stream=False)["done"])
        except urllib.error.HTTPError as error:  # not probed yet
            error.close()
        except urllib.error.URLError:
            pass
        return False


@pytest.fixture
def up(tmp_path: Path, model_folder: Path) -> Iterator[Up]:
    up = Up(tmp_path / "state", str(model_folder))
    try:
        up.wait_ready()
        yield up
    finally:
        up.close()


def shell(line: str) -> dict[str, Any]:
    """Run a line in a shell; return the last JSON object of its output."""
    out = subprocess.check_output(["/bin/sh", "-c", f"{line} -s"], timeout=DEADLINE_SECONDS)
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    return last


def test_it_serves_restarts_and_exits_on_sigterm(up: Up, tmp_path: Path) -> None:
    assert re.search(r"│ My-model:latest +│ My-model +│", up.output)
    assert f"curl {up.url}/api/chat -d '" in up.output
    assert f"curl {up.url}/v1/chat/completions -d '" in up.output
    assert f"logs: {tmp_path}/state/sizeup/{up.port}" in up.output
    chat, completion = (shell(line) for line in up.lines if line.startswith("curl "))
    assert chat["done"] is True
    assert completion["object"] == "chat.completion"
    check_that_a_killed_model_is_restarted(up)
    children = children_of(up.process.pid)
    assert len(children) == 2
    up.process.send_signal(signal.SIGTERM)
    assert up.exit_code() == 0
    assert not any(map(is_running, children))


def check_that_a_killed_model_is_restarted(up: Up) -> None:
    before = set(children_of(up.process.pid))
    model = next(pid for pid in before if b"inference" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(model, signal.SIGKILL)
    up.wait_for("my-model exited (killed by SIGKILL")
    wait_until(lambda: up.lines.count("my-model: ready") == 2)
    assert set(children_of(up.process.pid)) != before

    wait_until(up.is_serving)


def test_a_model_is_unloaded_and_loaded_again(up: Up) -> None:
    (model,) = (pid for pid in children_of(up.process.pid) if b"inference" in command_of(pid))
    assert [m["name"] for m in up.get("/api/ps")["models"]] == ["My-model:latest"]
    shown = up.get("/api/tags")
    assert up.chat(model="My-model", keep_alive=0)["done_reason"] == "stop"
    up.wait_for("my-model: unloaded")
    wait_until(lambda: not up.get("/api/ps")["models"])
    assert not is_running(model)
    assert up.get("/api/tags") == shown
    answer = up.chat(model="My-model", stream=False)
    assert (answer["done"], answer["load_duration"] > 1_000_000) == (True, True)
    assert "restarting" not in up.output
    up.chat(model="My-model", messages=[], keep_alive=0)
    wait_until(lambda: up.lines.count("my-model: unloaded") == 2)
    up.process.send_signal(signal.SIGTERM)
    assert up.exit_code() == 0


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_requests_right_after_the_start_are_answered(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path / "state", str(model_folder))
    try:
        wait_until(up.is_listening)
        (model,) = up.get("/api/tags")["models"]
        assert up.chat(model="My-model", stream=False)["done"] is True
        assert up.get("/api/tags")["models"] == [model]
    finally:
        up.close()


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_a_keys_file_that_others_can_read_is_named(
    tmp_path: Path, model_folder: Path, mode: int, warned: bool
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key")
    keys.chmod(mode)
    state = tmp_path / "state"
    up = Up(state, str(model_folder), SIZEUP_GATEWAY_API_KEYS_FILE=str(keys))
    try:
        up.wait_for("my-model: ready")
        assert any(f"{keys} has mode 0644" in line for line in up.lines) == warned
    finally:
        up.close()


def test_sigint_drains_requests_in_flight(up: Up) -> None:
    body = {"model": "My-model", "messages": [{"role": "user", "content": "word " * 10}]}
    request = urllib.request.Request(f"{up.url}/api/chat", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        lines = [response.readline()]
        up.process.send_signal(signal.SIGINT)
        lines += response.readlines()
    assert json.loads(lines[-1])["done_reason"] == "stop"
    assert up.exit_code() == 0


def test_sigkill_kills_the_children(up: Up) -> None:
    children = children_of(up.process.pid)
    assert len(children) == 2
    up.process.kill()
    wait_until(lambda: not any(map(is_running, children)))


def test_a_second_interrupt_stops_at_once(up: Up) -> None:
    children = children_of(up.process.pid)
    for child in children:  # they cannot drain
        os.kill(child, signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    up.wait_for("again to stop at once")
    up.process.send_signal(signal.SIGINT)
    assert up.exit_code() == 130
    assert not any(map(is_running, children))


def test_it_serves_after_its_output_was_closed(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path / "state", str(model_folder), before=("/bin/sh", "-c", _CLOSED_PIPE))
    try:
        wait_until(up.is_serving)
        up.process.send_signal(signal.SIGTERM)
        assert up.exit_code() == 0
        assert len(up.lines) == 0
    finally:
        up.close()


# Tests under nohup would inherit the ignored SIGHUP.
_DEFAULT_SIGHUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_sighup_stops_it(tmp_path: Path, model_folder: Path) -> None:
    before = (sys.executable, "-c", _DEFAULT_SIGHUP)
    up = Up(tmp_path / "state", str(model_folder), before=before)
    try:
        up.wait_for("logs: ")  # signals are handled from here on
        up.process.send_signal(signal.SIGHUP)
        assert up.exit_code() == 0
    finally:
        up.close()


def test_nohup_is_respected(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path / "state", str(model_folder), before=("nohup",))
    try:
        up.wait_for("logs: ")  # signals are handled from here on
        status = Path(f"/proc/{up.process.pid}/status").read_text()
        ignored = re.search(r"SigIgn:\s+([0-9a-f]+)", status)
        assert ignored is not None
        assert int(ignored[1], 16) & 1 << (signal.SIGHUP - 1)
    finally:
        up.close()


def test_a_model_that_cannot_start_is_an_error(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path, str(model_folder), SIZEUP_INFERENCE_MAX_NUM_SEQS="0")
    try:
        assert up.exit_code() == 1
        assert "my-model failed to start 5 times: exit code 1" in up.output
        assert f"log: {tmp_path}/sizeup/{up.port}/my-model.log" in up.output
    finally:
        up.close()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("no-such-model", "'no-such-model' not found"),
        ("Qwen/Never-Pulled", "sizeup pull Qwen/Never-Pulled"),
        ("./nowhere", "not a Hugging Face model folder"),
    ],
)
def test_an_unknown_model_is_an_error_before_any_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: str, words: str
) -> None:
    done = Command(capsys, monkeypatch, "up", model)
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert done.err.count("\n") == 1


def test_a_port_in_use_is_an_error_before_any_start(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_ENGINE", "fake")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = Command(capsys, monkeypatch, "up", str(model_folder), "--port", str(port))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"sizeup: port {port} on 127.0.0.1 is in use")
