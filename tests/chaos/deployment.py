"""A gateway in front of a fake engine, as two processes that a test may attack."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from system.deployment import wait_until
from system.processes import is_running, resident_mib

MODEL = "chaos:1"
Proxy = Callable[[int], AbstractContextManager[int]]
"""Runs in front of a port, at the port that it returns."""

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_LOG_LINES = 60
"""Of each process, in the report of a failed test."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running service."""

    port: int
    pid: int
    log: Path
    """JSON lines; text where Python itself writes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident_mib(self) -> float:
        """Return its resident memory now."""
        return resident_mib(self.pid)

    def descriptors(self) -> int:
        """Return the number of its open files and sockets."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def log_lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A gateway and its only replica."""

    gateway: Process
    inference: Process
    key: str | None = None
    """An API key, if the gateway requires one."""

    def get(self, path: str, seconds: float = 10.0) -> bytes:
        """Return the body of a response with status 200; raises OSError otherwise."""
        with urllib.request.urlopen(self.gateway.url + path, timeout=seconds) as response:
            body: bytes = response.read()
            return body

    def chat(self, text: str, seconds: float = 30.0, **fields: Any) -> dict[str, Any]:
        """Return the whole response of /api/chat; raises OSError for an error."""
        message = {"role": "user", "content": text}
        body = {"model": MODEL, "messages": [message], "stream": False, **fields}
        request = urllib.request.Request(
            self.gateway.url + "/api/chat", json.dumps(body).encode(), key_header(self.key)
        )
        with urllib.request.urlopen(request, timeout=seconds) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def is_serving(self) -> bool:
        """Whether a request for a token succeeds."""
        try:
            self.chat("hi", options={"num_predict": 1})
        except OSError:
            return False
        return True

    def logs(self) -> str:
        """Return the last lines of both processes."""
        both = (("gateway", self.gateway), ("inference", self.inference))
        parts = [(f"--- {name}", *one.log_lines()[-_LOG_LINES:]) for name, one in both]
        return "\n".join(line for part in parts for line in part)


@contextlib.contextmanager
def deployed(
    folder: Path,
    *,
    gateway: Mapping[str, object] | None = None,
    inference: Mapping[str, object] | None = None,
    gateway_files: int | None = None,
    proxy: Proxy = contextlib.nullcontext,
    keys: Sequence[str] = (),
) -> Iterator[Deployment]:
    """Serve during the block, which starts when a request has succeeded.

    `gateway` and `inference` are settings by the names of their fields, `gateway_files` is the
    gateway's limit of open files, and `keys` are API keys that it requires. `proxy` runs between
    the two. The fake engine's default pace is 1 ms per token.
    """
    fast = {"fake_token_seconds": 0.001, "model": "chaos", "engine": "fake"}
    with (
        _running(folder, "sizeup_inference", fast | dict(inference or {})) as replica,
        proxy(replica.port) as port,
    ):
        entry = {"id": "chaos", "names": [MODEL], "replicas": [f"http://127.0.0.1:{port}"]}
        catalog = folder / "catalog.yaml"
        catalog.write_text(json.dumps({"models": {"chaos": entry}}))
        settings = {"catalog": catalog, "probe_interval_seconds": 0.2, **(gateway or {})}
        if keys:
            settings["api_keys_file"] = _written(folder / "keys", "\n".join(keys))
        with _running(folder, "sizeup_gateway", settings, gateway_files) as front:
            deployment = Deployment(front, replica, keys[0] if keys else None)
            wait_until(deployment.is_serving, "serving", START_SECONDS)
            yield deployment


@contextlib.contextmanager
def _running(
    folder: Path, module: str, settings: Mapping[str, object], files: int | None = None
) -> Iterator[Process]:
    port, log = free_port(), folder / f"{module}.log"
    own = {f"{module}_{name}".upper(): str(value) for name, value in settings.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SIZEUP_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=inherited | {f"{module}_PORT".upper(): str(port)} | own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=None if files is None else lambda: _limit_files(files),
        )
    try:
        yield Process(port, process.pid, log)
    finally:
        if is_running(process.pid):
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def key_header(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _written(file: Path, text: str) -> Path:
    """Return a new file that its owner alone may read."""
    file.touch(0o600)
    file.write_text(text, encoding="utf-8")
    return file


def _limit_files(count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
