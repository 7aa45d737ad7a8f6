"""A rank that dies, fails or hangs ends the process, in whichever state, and no rank outlives it.

Every process holds the pipe of the log, so its end is the end of all of them.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.test_main import MODULE, TOY, free_port, process, until_ready
from inference.test_shutdown import Stream

DEADLINE_SECONDS = 90.0
"""Two processes import torch, one after the other on a busy machine."""

LONG = 1500
"""Output tokens of a request that outlasts its test."""

FAULTY_RANK_0 = """
from sizeup_inference.__main__ import _exit, main
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward

run, steps = TransformersForward.run, 0

def fail(self, batch):
    global steps
    steps += 1
    if steps > 5:
        raise RuntimeError("injected failure")
    return run(self, batch)

TransformersForward.run = fail
_exit(main())
"""

FAULTY_RANK_1 = """
from sizeup_inference.__main__ import _exit, main
from sizeup_inference.engine.parallel import ranks

ranks._MODULE = "inference.engine.parallel.failing_rank"
_exit(main())
"""


class Serving:
    """A process with two ranks, and its log."""

    def __init__(self, running: "subprocess.Popen[str]", port: int) -> None:
        self.running = running
        self.port = port
        assert running.stderr is not None
        for line in running.stderr:
            entry = json.loads(line)
            if entry["event"] == "rank.started":
                self.rank: int = entry["pid"]
                break

    def stream(self) -> Stream:
        """Start a stream that outlasts the test."""
        until_ready(self.port, DEADLINE_SECONDS)
        return Stream(self.port, LONG)

    def end(self) -> list[dict[str, Any]]:
        """Wait for the end of every process; return the rest of the log."""
        _, log = self.running.communicate(timeout=DEADLINE_SECONDS)
        return [json.loads(line) for line in log.splitlines()]


@contextmanager
def serving(program: tuple[str, ...] = MODULE, **settings: str) -> Iterator[Serving]:
    port = free_port()
    settings = {"ENGINE": "transformers", "MODEL": str(TOY), "TENSOR_PARALLEL": "2"} | settings
    with process(port, program, **settings) as running:
        yield Serving(running, port)


def reasons(log: list[dict[str, Any]], event: str = "ranks.lost") -> list[str]:
    return [entry.get("reason") or entry["error"] for entry in log if entry["event"] == event]


def test_a_rank_that_is_killed_fails_requests_and_ends_the_process() -> None:
    with serving() as process:
        stream = process.stream()
        os.kill(process.rank, signal.SIGKILL)
        assert stream.end()["event"] == "failed"
        log = process.end()
        assert process.running.returncode == 1
        assert reasons(log) == ["rank 1 ended with signal 9"]
        assert any(entry.get("rank") == 1 for entry in log), "the rank's own log"


def test_a_rank_that_hangs_is_a_stall() -> None:
    with serving(STALLED_SECONDS="1", LOST_SECONDS="1") as process:
        stream = process.stream()
        os.kill(process.rank, signal.SIGSTOP)
        assert stream.end()["event"] == "failed"
        log = process.end()
        assert process.running.returncode == 1
        assert "engine.stalled" in {entry["event"] for entry in log}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's request exists on Linux only")
def test_a_rank_that_hangs_ends_with_rank_0() -> None:
    with serving() as process:
        process.stream()
        os.kill(process.rank, signal.SIGSTOP)
        process.running.kill()
        process.end()


def test_a_rank_that_is_killed_while_it_loads_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inject(monkeypatch, "killed")
    with serving(("-c", FAULTY_RANK_1)) as process:
        log = process.end()
        assert process.running.returncode == 1
        assert reasons(log, "model.load_failed") == ["LoadError: rank 1 ended with signal 9"]


def inject(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("FAULT", fault)


def test_a_step_that_fails_on_a_rank_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    inject(monkeypatch, "failing_step")
    with serving(("-c", FAULTY_RANK_1)) as process:
        assert process.stream().end()["event"] == "failed"
        log = process.end()
        assert process.running.returncode == 1
        assert reasons(log) == ["rank 1: RuntimeError: injected failure"]
        (failed,) = [entry for entry in log if entry["event"] == "rank.failed"]
        assert "failing_rank.py" in failed["exception"]


def test_a_step_that_fails_on_rank_0_ends_the_process() -> None:
    with serving(("-c", FAULTY_RANK_0)) as process:
        assert process.stream().end()["event"] == "failed"
        log = process.end()
        assert process.running.returncode == 1
        assert reasons(log) == ["rank 0: RuntimeError: injected failure"]
