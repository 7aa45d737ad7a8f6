"""The process: exit codes, log, and imports of the fake engine."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE_SECONDS = 30.0
TOY = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


MODULE = ("-m", "sizeup_inference")
UNLOADABLE = """
import sys
from sizeup_inference import app
from sizeup_inference.__main__ import main

def fail(settings, deliver, progress):
    raise OSError("injected failure")

app.start_fake = fail
sys.exit(main())
"""
"""The process with a model that cannot be loaded."""

DYING = """
import sys
from sizeup_inference import app
from sizeup_inference.fake import model
from sizeup_inference.__main__ import main
from sizeup_inference.fake.engine import FakeEngine

def broken(request, choice):
    raise RuntimeError("injected failure")
    yield

model.FakeEngine = lambda deliver, limits: FakeEngine(deliver, limits, broken)
app._WATCH_SECONDS = 0.1
sys.exit(main())
"""
"""The process with an engine that dies in the first request."""

HANGING = """
import ctypes, sys
from sizeup_inference import app
from sizeup_inference.fake import model
from sizeup_inference.__main__ import _exit, main
from sizeup_inference.engine.protocol import Token
from sizeup_inference.fake.engine import FakeEngine

def hanging(deliver, limits):
    def hang_after(events):
        deliver(events)
        if any(isinstance(event, Token) for event in events):
            ctypes.CDLL(None).sleep(3600)
    return FakeEngine(hang_after, limits)

model.FakeEngine = hanging
app._CLOSE_SECONDS = app._WATCH_SECONDS = 0.1
_exit(main())
"""
"""The process with an engine that hangs in native code after its first token."""


@contextmanager
def process(
    port: int, program: tuple[str, ...] = MODULE, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    names = {"ENGINE": "fake", "MODEL": "fake", "PORT": str(port)} | settings
    environment = dict(os.environ) | {f"SIZEUP_INFERENCE_{k}": v for k, v in names.items()}
    with subprocess.Popen(
        [sys.executable, *program],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def until_ready(port: int, seconds: float = DEADLINE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:  # not listening, or 503
            time.sleep(0.02)
    raise TimeoutError("the process did not become ready")


def generate(port: int, prompt: dict[str, object]) -> list[dict[str, object]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/internal/v1/generate",
        data=json.dumps({"prompt": prompt}).encode(),
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
        return [json.loads(line) for line in response]


def test_it_serves_and_exits_with_0_after_sigterm() -> None:
    port = free_port()
    with process(port, FAKE_TOKEN_SECONDS="0") as running:
        until_ready(port)
        events = generate(port, {"kind": "text", "text": "hi"})
        assert [event["event"] for event in events] == ["started", "text", "text", "finished"]
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
        lines = [json.loads(line) for line in log.splitlines()]
        assert "model.ready" in {line["event"] for line in lines}


def test_a_failed_load_exits_with_1_and_logs_one_line() -> None:
    with process(free_port(), ("-c", UNLOADABLE)) as running:
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 1
        failed = [line for line in log.splitlines() if '"model.load_failed"' in line]
        assert len(failed) == 1
        assert "Traceback" not in log


def test_a_dead_engine_fails_requests_and_exits_with_1() -> None:
    port = free_port()
    with process(port, ("-c", DYING)) as running:
        until_ready(port)
        events = generate(port, {"kind": "text", "text": "hi"})
        assert [event["event"] for event in events] == ["started", "failed"]
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 1
        assert '"engine.died"' in log


def test_a_hung_engine_fails_requests_and_exits_with_1() -> None:
    port = free_port()
    with process(
        port, ("-c", HANGING), STALLED_SECONDS="0.1", LOST_SECONDS="0.1", DRAIN_SECONDS="3600"
    ) as running:
        until_ready(port)
        events = generate(port, {"kind": "text", "text": "hello"})
        assert [event["event"] for event in events] == ["started", "text", "failed"]
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 1
        assert log.count('"engine.stalled"') == 1
        assert "Traceback" not in log


def test_a_port_in_use_is_logged() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with process(taken.getsockname()[1]) as running:
            _, log = running.communicate(timeout=DEADLINE_SECONDS)
            assert running.returncode == 1
            assert "serving.failed" in log


def test_invalid_settings_are_reported() -> None:
    with process(free_port(), DRAIN_SECONDS="soon") as running:
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 1
        assert "drain_seconds" in log


def test_threads_of_a_step_wait_passively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_DISPLAY_ENV", "TRUE")  # the OpenMP runtime prints its settings
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    port = free_port()
    with process(port, ENGINE="transformers", MODEL=str(TOY)) as running:
        until_ready(port)
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=DEADLINE_SECONDS)
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'PASSIVE'", log)


def test_the_fake_engine_imports_no_torch() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'tokenizers'));"
        "import sizeup_inference.__main__ as m; "
        "from sizeup_inference.app import start_model as load; "
        "from sizeup_inference.settings import Settings;"
        "running = load(Settings(model='fake', engine='fake'), print, print); "
        "running.engine.close(5)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == 0
