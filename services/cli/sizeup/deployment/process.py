"""One child process: started in its own session, its output logged, stopped by signals."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sizeup.deployment.child_log import ChildLog

_OUTPUT_SECONDS = 1.0
"""Time for the rest of the output after the exit; a grandchild may keep the pipe open."""
LINE_BYTES = 1 << 20
"""A longer line is split: output without line ends must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log_path: Path
    url: str = ""
    """Base URL of a server."""


class Child(Protocol):
    """What a Process uses of asyncio.subprocess.Process."""

    pid: int
    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of the signal; None while it runs."""

    async def wait(self) -> int:
        """Wait for the exit; return the returncode."""

    def terminate(self) -> None:
        """Send SIGTERM; may raise ProcessLookupError."""


class Process:
    """A running child; see start. Belongs to one event loop."""

    def __init__(self, child: Child, log: ChildLog, close_pipe: Callable[[], None]) -> None:
        """`close_pipe` closes the reading end of the child's output."""
        self._process = child
        self._log = log
        self._close_pipe = close_pipe
        self._copying = asyncio.create_task(self._copy_output())

    async def wait(self) -> str:
        """Wait for the exit; return exit code or signal, and the last error of its output."""
        try:
            code = await self._process.wait()
            await asyncio.wait((self._copying,), timeout=_OUTPUT_SECONDS)
        finally:
            self._copying.cancel()
            await asyncio.gather(self._copying, return_exceptions=True)
            if self._process.returncode is not None:  # a grandchild may keep the other end open
                self._close_pipe()
        reason = self._log.exit_reason()
        return f"{describe_exit(code)}: {reason}" if reason else describe_exit(code)

    def terminate(self) -> None:
        """Send SIGTERM; does nothing after the exit."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to its process group; does nothing after the exit."""
        if self._process.returncode is not None:  # the pid may be reused
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _copy_output(self) -> None:
        output = self._process.stdout
        assert output is not None  # started with PIPE
        while line := await _read_line(output):
            self._log.write(line)


async def start(command: Command, log: ChildLog) -> Process:
    """Start a child in its own session: Ctrl-C in the terminal reaches only the parent."""
    log.start_tail()
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LINE_BYTES,
    )
    # asyncio has no public method; otherwise the transport outlives its event loop.
    return Process(process, log, process._transport.close)  # type: ignore[attr-defined]


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)


def describe_exit(code: int) -> str:
    """Return the text for a return code of subprocess."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
