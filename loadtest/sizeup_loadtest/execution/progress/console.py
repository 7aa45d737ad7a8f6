"""Where a run prints."""

import os
import sys
from typing import Any, cast

from rich.console import Console


class _Output:
    """Standard output until it fails (a closed pipe, a full disk), and then nothing.

    The run goes on, and its folder has everything.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)

    def write(self, text: str) -> int:
        try:
            return sys.stdout.write(text)
        except OSError:
            return self._end(len(text))

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except OSError:
            self._end(0)

    def _end(self, written: int) -> int:
        """Lead standard output to /dev/null, also for Python's flush at exit."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        return written


def run_console() -> Console:
    return Console(file=cast(Any, _Output()))
