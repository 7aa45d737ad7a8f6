"""A command on a pseudo-terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.children import DEADLINE_SECONDS

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HOME = "\x1b[H"
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """The output of a process, as a terminal receives it."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._received = b""

    @property
    def output(self) -> str:
        return self._received.decode("utf-8", "replace")

    def resize(self, columns: int, lines: int) -> None:
        termios.tcsetwinsize(self._descriptor, (lines, columns))

    def read_until(self, text: str, begin: int = 0) -> None:
        """Read until this text comes after so many characters."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.output[begin:]:
            assert time.monotonic() < deadline, self.output[-2000:]
            assert self._read(), f"the process ended: {self.output[-2000:]}"

    def finish(self) -> int:
        """Read the rest; return the exit code."""
        while self._read():
            pass
        return self.process.wait(DEADLINE_SECONDS)

    def frames(self) -> list[list[str]]:
        """Return the lines of each frame on the alternate screen, without styles."""
        screen = self.output.partition(ENTER_SCREEN)[2].partition(LEAVE_SCREEN)[0]
        frames = screen.split(_HOME)[1:]
        return [without_controls(frame).splitlines() for frame in frames if frame.strip()]

    def remains(self) -> str:
        """Return what stays on the terminal at the end, without styles."""
        return without_controls(self.output.rpartition(LEAVE_SCREEN)[2])

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], DEADLINE_SECONDS)
        assert ready, f"no output: {self.output[-2000:]}"
        try:
            piece = os.read(self._descriptor, 1 << 16)
        except OSError:  # Linux: the process has closed its end
            return False
        self._received += piece
        return bool(piece)


@contextmanager
def terminal(
    *arguments: str, columns: int = 80, lines: int = 24, **environment: str
) -> Iterator[Terminal]:
    """Run `sizeup` on a pseudo-terminal of this size; its standard error is there as well."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (lines, columns))
    unset = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    process = subprocess.Popen(
        [sys.executable, "-m", "sizeup", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(DEADLINE_SECONDS)
        os.close(ours)


def without_controls(text: str) -> str:
    """Drop escape sequences, and the carriage returns that the terminal adds."""
    return _CONTROL.sub("", text).replace("\r\n", "\n")
