"""The log file of one child process: bounded on disk, with its last lines in memory."""

import contextlib
import json
from collections import deque
from pathlib import Path
from typing import Any

_FILE_BYTES = 4 << 20
"""Then the file is rotated to .1: at most twice this per child."""
_TAIL_LINES = 50
"""A server logs several lines about its shutdown after the error that caused it."""
_LINE_CHARACTERS = 300
"""Of the reason shown on the console; the file has all of it."""


class ChildLog:
    def __init__(self, path: Path, file_bytes: int = _FILE_BYTES) -> None:
        """Append to the file of an earlier run."""
        self.path = path
        self._file_bytes = file_bytes
        self._file = path.open("ab", buffering=0)
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, line: bytes) -> None:
        """Add one line; on a full disk to the tail only."""
        # An error here would stop the reader, and a child blocks once its output pipe is full.
        with contextlib.suppress(OSError):
            self._append(line)
        if line.strip():
            self._tail.append(line.decode("utf-8", "replace").strip())

    def _append(self, line: bytes) -> None:
        if self._file.tell() + len(line) > self._file_bytes:
            self.path.replace(self.path.with_suffix(".log.1"))
            full, self._file = self._file, self.path.open("ab", buffering=0)
            full.close()
        self._file.write(line)

    def start_tail(self) -> None:
        """Drop the lines of the previous process."""
        self._tail.clear()

    def exit_reason(self) -> str:
        """Return the line that most likely explains the exit; empty without output."""
        lines = list(self._tail)
        errors = [line for line in lines if _is_error(line)] or lines
        return _readable(errors[-1])[:_LINE_CHARACTERS] if errors else ""

    def close(self) -> None:
        self._file.close()


def _is_error(line: str) -> bool:
    """Return whether a line is a log record of an error, or no record at all (a traceback)."""
    record = _record(line)
    return record is None or record.get("level") in ("error", "critical")


def _readable(line: str) -> str:
    """Return event and error, or the last line of the exception, of a JSON log record."""
    record = _record(line)
    if record is None:
        return line
    detail = str(record.get("error") or record.get("exception") or "").strip().splitlines()
    return f"{record['event']}: {detail[-1]}" if detail else str(record["event"])


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None
