"""One child process: started in its own session, its output logged, ended by signals."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sizeup.deployment.child_log import ChildLog

_OUTPUT_SECONDS = 1.0
"""After the child's end, time for the rest of its output; a grandchild may hold the pipe open."""
_LINE_BYTES = 1 << 20
"""A longer line is cut in pieces: output without line ends must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log_path: Path


class Process:
    """A running child. Belongs to the event loop it was started on."""

    def __init__(self, process: asyncio.subprocess.Process, log: ChildLog) -> None:
        """Adopt a process just started; see start."""
        self._process = process
        self._log = log
        self._copying = asyncio.create_task(self._copy_output())

    async def wait(self) -> str:
        """Wait for the end and say how it came: exit code or signal, and the last words."""
        try:
            code = await self._process.wait()
            await asyncio.wait((self._copying,), timeout=_OUTPUT_SECONDS)
        finally:
            self._copying.cancel()
            await asyncio.gather(self._copying, return_exceptions=True)
            self._close_output()
        words = self._log.last_words()
        return f"{describe_exit(code)}; last it said: {words}" if words else describe_exit(code)

    def _close_output(self) -> None:
        """Let go of an ended child's pipe, whose other end a grandchild may hold for ever.

        asyncio gives no public way; without it the transport outlives its event loop.
        """
        if self._process.returncode is not None:
            self._process._transport.close()  # type: ignore[attr-defined]

    def terminate(self) -> None:
        """Ask it to end; nothing happens if it has."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and whatever it started; nothing happens if it has ended."""
        if self._process.returncode is not None:  # the pid may be somebody else's by now
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _copy_output(self) -> None:
        output = self._process.stdout
        assert output is not None  # PIPE was asked for
        while line := await _read_line(output):
            self._log.write(line)


async def start(command: Command, log: ChildLog) -> Process:
    """Start a child in a session of its own: the terminal's Ctrl-C reaches only its parent."""
    log.forget()
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=_LINE_BYTES,
    )
    return Process(process, log)


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)


def describe_exit(code: int) -> str:
    """Say how a process ended, from its return code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
