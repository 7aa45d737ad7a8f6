"""Small programs to supervise, and helpers to observe processes."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sizeup.deployment.backoff import Policy
from sizeup.deployment.process import Command
from sizeup.deployment.readiness import Progress
from sizeup.deployment.report import Report
from sizeup.deployment.supervisor import Supervisor

DEADLINE_SECONDS = 60.0
"""A guard against hangs, wide enough for a busy machine."""
QUICK = Policy(first_seconds=0.01, longest_seconds=0.05, steady_seconds=60.0, attempts=3)

RUN_FOREVER = "import time; print('up', flush=True); time.sleep(600)"
FAIL = "import sys; print('no weights here', flush=True); sys.exit(3)"
DRAIN = """
import signal, sys, time
def drain(*_):
    print('draining', flush=True)
    time.sleep(0.2)
    print('drained', flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
print('up', flush=True)
time.sleep(600)
"""
IGNORE_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
time.sleep(600)
"""


class Recorder(Report):
    """A report that records its calls."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.exits: list[str] = []
        self.unloads: list[str] = []

    @property
    def ended(self) -> int:
        """How many processes have ended."""
        return len(self.exits) + len(self.unloads)

    def progress(self, name: str, progress: Progress) -> None:
        self.stages.append(progress.stage)

    def exited(self, name: str, reason: str, wait_seconds: float) -> None:
        self.exits.append(reason)

    def unloaded(self, name: str) -> None:
        self.unloads.append(name)


def command(folder: Path, program: str, *arguments: str) -> Command:
    return Command(
        name="child",
        argv=(sys.executable, "-c", program, *arguments),
        environment=dict(os.environ),
        log_path=folder / "child.log",
    )


class Supervised:
    """A supervisor whose child is ready once it has printed `up`."""

    def __init__(self, folder: Path, program: str, policy: Policy = QUICK) -> None:
        self.recorder = Recorder()
        self.log = folder / "child.log"
        self.log.touch()
        self.hung = False
        """Let the probe fail."""
        self.supervisor = Supervisor(command(folder, program), self._probe, self.recorder, policy)

    async def _probe(self) -> Progress:
        ready = self.log.read_text().count("up\n") > self.recorder.ended
        ready = ready and not self.hung
        return Progress(ready=ready, stage="ready" if ready else "starting")

    @property
    def pid(self) -> int:
        process = self.supervisor._process
        assert process is not None
        return process._process.pid

    async def reaped(self) -> None:
        """Wait until the event loop knows of the exit: it may close afterwards."""
        process = self.supervisor._process
        assert process is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            await process.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Poll a condition; raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition, outside an event loop."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
