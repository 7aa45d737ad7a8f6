"""Processes of peers: one computes at a time, the others wait for their standard input."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine_peers.messages import Load, Measurement, Model, PeerOptions, Ready, Timing

_ROOT = Path(__file__).parents[2]
_PATH = (_ROOT / "benchmarks", _ROOT / "services" / "inference")
"""The benchmarks and sizeup_inference.engine run from a checkout."""

START_SECONDS = 1800.0
"""A model of 14B parameters is loaded from a slow disk."""
RUN_SECONDS = 3600.0
_CLOSE_SECONDS = 60.0


class PeerError(Exception):
    """A peer has ended or does not answer; its own message is on standard error."""


class LineProcess:
    """A process that answers a line with a line."""

    def __init__(
        self, name: str, argv: Sequence[str], wait_policy: str | None, threads: int
    ) -> None:
        environment = os.environ | {  # noqa: TID251  # passed on to the peer
            "PYTHONPATH": os.pathsep.join(map(str, _PATH)),
            "OMP_NUM_THREADS": str(threads),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
        }
        if wait_policy is not None:
            environment["OMP_WAIT_POLICY"] = wait_policy
        self.name = name
        self._process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(f"{self.name} has ended") from error
        return self.receive(RUN_SECONDS)

    def receive(self, timeout_seconds: float) -> str:
        """Return the next line."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_seconds)[0]:
            raise PeerError(f"{self.name} has not answered within {timeout_seconds:.0f} s")
        if not (line := self._process.stdout.readline()):
            raise PeerError(f"{self.name} has ended")
        return line

    def close(self) -> None:
        """Close standard input, which ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class PeerProcess:
    """A peer and the model that it has loaded."""

    def __init__(
        self, module: str, python: Path, options: PeerOptions, wait_policy: str | None
    ) -> None:
        """Start it and wait until it has generated a token. Raises PeerError."""
        argv = [str(python), "-m", f"engine_peers.{module}", json.dumps(asdict(options))]
        self._lines = LineProcess(module, argv, wait_policy, options.threads)
        ready = json.loads(self._lines.receive(START_SECONDS))
        self.ready = Ready(**ready | {"model": Model(**ready["model"])})

    def run(self, load: Load) -> Measurement:
        """Measure a load. Raises PeerError."""
        answer: dict[str, Any] = json.loads(self._lines.ask(json.dumps(asdict(load))))
        return Measurement(**answer | {"timing": Timing(**answer["timing"])})

    def close(self) -> None:
        self._lines.close()


class Bandwidth:
    """A process that measures the memory bandwidth."""

    def __init__(self, device: str, threads: int) -> None:
        argv = [sys.executable, "-m", "engine_peers.bandwidth", device, str(threads)]
        self._lines = LineProcess("bandwidth", argv, None, 1)

    def measure(self) -> float:
        """Return bytes per second."""
        return float(self._lines.ask(""))

    def close(self) -> None:
        self._lines.close()
