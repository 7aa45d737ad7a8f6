"""`sizeup up` as a child process of the tests."""

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

import yaml

from system.processes import children_of, environment_of, is_running, name_of

READY_SECONDS = 120.0
"""Importing torch takes most of it on a busy machine."""
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
_READY = "press Ctrl-C to stop"
"""The last line of `up` after the start."""
_LOG_LINES = 60
"""Of each process, in the report of a failed test."""

# `python -m sizeup`, killed with the test process.
_SIZEUP = """
import runpy, sys
from sizeup.deployment.child import die_with
die_with(int(sys.argv[1]))
sys.argv[:2] = ["sizeup"]
runpy.run_module("sizeup", run_name="__main__", alter_sys=True)
"""


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll a condition; raises TimeoutError with its description."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(_POLL_SECONDS)


class Deployment:
    """A running `sizeup up`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        """Start with the state in this folder, without the settings of the user."""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = folder / "up.log"
        self._logs = folder / "sizeup" / str(self.port)
        self._seen: set[int] = set()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SIZEUP_", "HF_"))}
        folders = {"XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        argv = [sys.executable, "-c", _SIZEUP, str(os.getpid()), "up", "--port", str(self.port)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*argv, *arguments],
                env=inherited | folders | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, which stop this
            )

    @property
    def output(self) -> str:
        """The output of `up` so far."""
        return self._output.read_text(errors="replace")

    def wait_ready(self) -> None:
        """Wait until all models are served."""
        try:
            wait_until(lambda: _READY in self.output or not self.is_up, "ready", READY_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logs()}") from None
        assert _READY in self.output, self.logs()

    @property
    def is_up(self) -> bool:
        """Whether `up` itself runs."""
        return self.process.poll() is None

    def children(self) -> list[int]:
        """Return the pids of the gateway, the fork server and every inference process."""
        children = children_of(self.process.pid)
        children += [forked for child in children for forked in children_of(child)]
        self._seen.update(children)
        return children

    def inference_pid(self, model_id: str) -> int:
        """Return the pid of the process that serves a model."""
        key, _ = self._entry(model_id)
        return self._child(key)

    def inference_url(self, model_id: str) -> str:
        """Return the URL of its internal API."""
        _, entry = self._entry(model_id)
        url: str = entry["replicas"][0]
        return url

    def gateway_pid(self) -> int:
        return self._child("gateway")

    def _child(self, name: str) -> int:
        return next(pid for pid in self.children() if name_of(pid) == name[:15])

    def _entry(self, model_id: str) -> tuple[str, dict[str, Any]]:
        """Return key and entry of a model in the gateway's catalog."""
        path = environment_of(self.gateway_pid())["SIZEUP_GATEWAY_CATALOG"]
        models = yaml.safe_load(Path(path).read_text())["models"]
        return next((key, entry) for key, entry in models.items() if entry["id"] == model_id)

    def logs(self) -> str:
        """Return the last lines of every process."""
        parts = [f"--- up\n{self.output}"]
        for path in sorted(self._logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            parts.append("\n".join((f"--- {path.name}", *lines)))
        return "\n".join(parts)

    def error_records(self) -> list[dict[str, Any]]:
        """Return the error records in the logs of gateway and inference."""
        lines = (
            line for path in self._logs.glob("*.log") for line in path.read_text().splitlines()
        )
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [r for r in records if r.get("level") in ("error", "critical") or "exception" in r]

    def signal(self, number: signal.Signals) -> None:
        """Send `up` a signal."""
        self.children()
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for `up` to exit; return its exit code."""
        return self.process.wait(STOP_SECONDS)

    def survivors(self) -> list[int]:
        """Return the pids of all child processes so far that still run."""
        return [pid for pid in sorted(self._seen) if is_running(pid)]

    def close(self) -> None:
        """Stop all processes, by SIGTERM if possible."""
        if self.is_up:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.exit_code()
        self.process.kill()
        self.exit_code()
        for pid in self.survivors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def deployed(folder: Path, *arguments: str, **environment: str) -> Iterator[Deployment]:
    """Serve during the block, which starts when all models are ready."""
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
