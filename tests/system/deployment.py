"""`sizeup up` as a child of the tests, with everything it starts."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from system.processes import children_of, environment_of, is_running

READY_SECONDS = 120.0
"""Importing torch takes most of it on a machine that has other work."""
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
_READY = "Ctrl-C stops"
"""The last of what `up` shows when everything is served."""
_LOG_LINES = 60
"""Of each process, shown when a test fails."""

# `python -m sizeup`, killed by the kernel should the tests be killed themselves.
_SIZEUP = """
import runpy, sys
from sizeup.deployment.child import die_with
die_with(int(sys.argv[1]))
sys.argv[:2] = ["sizeup"]
runpy.run_module("sizeup", run_name="__main__", alter_sys=True)
"""


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for something to become true; TimeoutError, saying what, when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(_POLL_SECONDS)


class Deployment:
    """A running `sizeup up`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        """Start it with its state in this folder; what the developer has set stays outside."""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = folder / "up.log"
        self._logs = folder / "sizeup" / str(self.port)
        self._seen: set[int] = set()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SIZEUP_", "HF_"))}
        places = {"XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        argv = [sys.executable, "-c", _SIZEUP, str(os.getpid()), "up", "--port", str(self.port)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*argv, *arguments],
                env=inherited | places | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C is for the tests, which end this
            )

    @property
    def output(self) -> str:
        """What `up` has shown."""
        return self._output.read_text(errors="replace")

    def wait_ready(self) -> None:
        """Wait until everything is served."""
        try:
            wait_until(lambda: _READY in self.output or not self.is_up, "ready", READY_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logs()}") from None
        assert _READY in self.output, self.logs()

    @property
    def is_up(self) -> bool:
        """Tell whether `up` itself lives."""
        return self.process.poll() is None

    def children(self) -> list[int]:
        """Return the pids of the gateway and of every inference process."""
        children = children_of(self.process.pid)
        self._seen.update(children)
        return children

    def inference_pid(self, model_id: str) -> int:
        """Return the pid of the process that serves a model."""
        return self._child("SIZEUP_INFERENCE_MODEL_ID", model_id)

    def inference_url(self, model_id: str) -> str:
        """Return the address of its internal API."""
        pid = self.inference_pid(model_id)
        return f"http://127.0.0.1:{environment_of(pid)['SIZEUP_INFERENCE_PORT']}"

    def gateway_pid(self) -> int:
        """Return the gateway's pid."""
        return self._child("SIZEUP_GATEWAY_PORT", str(self.port))

    def _child(self, variable: str, value: str) -> int:
        wanted = (p for p in self.children() if environment_of(p).get(variable) == value)
        return next(wanted)

    def logs(self) -> str:
        """Return the last lines of every process."""
        parts = [f"--- up\n{self.output}"]
        for path in sorted(self._logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            parts.append("\n".join((f"--- {path.name}", *lines)))
        return "\n".join(parts)

    def complaints(self) -> list[dict[str, Any]]:
        """Return the log records of gateway and inference that say something is wrong."""
        lines = (
            line for path in self._logs.glob("*.log") for line in path.read_text().splitlines()
        )
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [r for r in records if r.get("level") in ("error", "critical") or "exception" in r]

    def signal(self, number: signal.Signals) -> None:
        """Send `up` a signal."""
        self.children()
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for `up` to end; return its exit code."""
        return self.process.wait(STOP_SECONDS)

    def survivors(self) -> list[int]:
        """Return which of the processes it ever started still run."""
        return [pid for pid in sorted(self._seen) if is_running(pid)]

    def close(self) -> None:
        """End everything, politely if possible."""
        if self.is_up:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end()
        self.process.kill()
        self.end()
        for pid in self.survivors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def deployed(folder: Path, *arguments: str, **environment: str) -> Iterator[Deployment]:
    """Serve inside the block, from when everything is ready."""
    deployment = Deployment(folder, *arguments, **environment)
    try:
        deployment.wait_ready()
        deployment.children()
        yield deployment
    finally:
        deployment.close()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
