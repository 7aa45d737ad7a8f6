"""The whole of `sizeup up` with real processes; the fake engine stands in for the weights."""

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
from hub_server import WEIGHTS, safetensors_bytes


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """Make a folder that is whole; the fake engine does not look into the weights."""
    folder = tmp_path / "My model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / WEIGHTS).write_bytes(safetensors_bytes(100))
    return folder


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


# Give a program a pipe whose reader is gone: `sizeup up | head -0`.
_DEAF = """
exec "$0" -c 'import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
os.execv(sys.argv[1], sys.argv[1:])' "$0" "$@"
"""


class Up:
    """`sizeup up` in a process of its own."""

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
                "TMPDIR": str(state),  # what a killed one leaves goes with the test
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

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.output or self.process.poll() is not None)
        assert words in self.output, self.output

    def wait_ready(self) -> None:
        self.wait_for("Ctrl-C stops")

    def end(self) -> int:
        """Wait for the process; return its exit code."""
        code = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(self, **body: Any) -> dict[str, Any]:
        data = json.dumps({"messages": [{"role": "user", "content": "hi"}], **body}).encode()
        with urllib.request.urlopen(f"{self.url}/api/chat", data, 20) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def answers(self) -> bool:
        """Tell whether the model is reached through the gateway."""
        try:
            return bool(self.ask(model="My-model", stream=False)["done"])
        except urllib.error.HTTPError as error:  # the gateway has not looked yet
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


def pasted(line: str) -> dict[str, Any]:
    """Run a line as a shell does; return the last JSON object of the answer."""
    out = subprocess.check_output(["/bin/sh", "-c", f"{line} -s"], timeout=DEADLINE_SECONDS)
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def test_it_serves_shows_what_and_ends_cleanly_on_sigterm(up: Up, tmp_path: Path) -> None:
    assert re.search(r"│ My-model:latest +│ My-model +│", up.output)
    assert f"curl {up.url}/api/chat -d '" in up.output
    assert f"curl {up.url}/v1/chat/completions -d '" in up.output
    assert f"logs of the processes: {tmp_path}/state/sizeup/{up.port}" in up.output
    chat, completion = (pasted(line) for line in up.lines if line.startswith("curl "))
    assert chat["done"] is True
    assert completion["object"] == "chat.completion"
    children = children_of(up.process.pid)
    assert len(children) == 2
    up.process.send_signal(signal.SIGTERM)
    assert up.end() == 0
    assert not any(map(is_running, children))


def test_a_killed_model_comes_back_at_the_same_address(up: Up) -> None:
    before = set(children_of(up.process.pid))
    model = next(pid for pid in before if b"inference" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(model, signal.SIGKILL)
    up.wait_for("my-model died (killed by SIGKILL")
    wait_until(lambda: up.lines.count("my-model: ready") == 2)
    assert set(children_of(up.process.pid)) != before

    wait_until(up.answers)


def test_an_answer_that_runs_is_finished_before_the_end(up: Up) -> None:
    body = {"model": "My-model", "messages": [{"role": "user", "content": "word " * 10}]}
    request = urllib.request.Request(f"{up.url}/api/chat", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        pieces = [response.readline()]
        up.process.send_signal(signal.SIGINT)
        pieces += response.readlines()
    assert json.loads(pieces[-1])["done_reason"] == "stop"
    assert up.end() == 0


def test_nothing_is_left_when_it_is_killed(up: Up) -> None:
    children = children_of(up.process.pid)
    assert len(children) == 2
    up.process.kill()
    wait_until(lambda: not any(map(is_running, children)))


def test_a_second_interrupt_ends_everything_at_once(up: Up) -> None:
    children = children_of(up.process.pid)
    for child in children:  # they cannot drain
        os.kill(child, signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    up.wait_for("once more to stop at once")
    up.process.send_signal(signal.SIGINT)
    assert up.end() == 130
    assert not any(map(is_running, children))


def test_it_serves_on_when_nobody_reads_its_lines(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path / "state", str(model_folder), before=("/bin/sh", "-c", _DEAF))
    try:
        wait_until(up.answers)
        up.process.send_signal(signal.SIGTERM)
        assert up.end() == 0
        assert len(up.lines) == 0
    finally:
        up.close()


# A run of the tests under nohup passes on that hang-ups are ignored.
_WITH_HANG_UPS = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_hang_up_stops_it(tmp_path: Path, model_folder: Path) -> None:
    heard = (sys.executable, "-c", _WITH_HANG_UPS)
    up = Up(tmp_path / "state", str(model_folder), before=heard)
    try:
        up.wait_ready()
        up.process.send_signal(signal.SIGHUP)
        assert up.end() == 0
    finally:
        up.close()


def test_nohup_is_heeded(tmp_path: Path, model_folder: Path) -> None:
    up = Up(tmp_path / "state", str(model_folder), before=("nohup",))
    try:
        up.wait_ready()
        status = Path(f"/proc/{up.process.pid}/status").read_text()
        ignored = re.search(r"SigIgn:\s+([0-9a-f]+)", status)
        assert ignored is not None
        assert int(ignored[1], 16) & 1 << (signal.SIGHUP - 1)
    finally:
        up.close()


def test_a_model_that_cannot_start_ends_it_with_the_reason(
    tmp_path: Path, model_folder: Path
) -> None:
    up = Up(tmp_path, str(model_folder), SIZEUP_INFERENCE_MAX_NUM_SEQS="0")
    try:
        assert up.end() == 1
        assert "my-model failed to start 5 times: exit code 1" in up.output
        assert f"its log: {tmp_path}/sizeup/{up.port}/my-model.log" in up.output
    finally:
        up.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-model"], "no model is called 'no-such-model'"),
        (["Qwen/Never-Pulled"], "try: sizeup pull Qwen/Never-Pulled"),
        (["./nowhere"], "not a Hugging Face model folder"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_starts(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    up = Up(tmp_path, *arguments, HF_HOME=str(tmp_path))
    try:
        assert up.end() == 1
        assert words in up.output
        assert len(up.lines) == 1
    finally:
        up.close()


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path, model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "sizeup", "up", str(model_folder), "--port", str(port)],
            env={**os.environ, "SIZEUP_ENGINE": "fake", "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"sizeup: port {port} on 127.0.0.1 is in use")
    assert ended.stdout == ""
