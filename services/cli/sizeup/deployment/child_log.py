"""The log file of one child: bounded on disk, with its last lines at hand."""

import contextlib
import json
from collections import deque
from pathlib import Path
from typing import Any

_FILE_BYTES = 4 << 20
"""Then the file becomes .1 and a new one begins: at most twice this per child."""
_TAIL_LINES = 50
"""A server says several lines about its shutdown after the error that ended it."""
_LINE_CHARACTERS = 300
"""Of the reason shown to a person; the file has the whole."""


class ChildLog:
    """Append a child's output to a file."""

    def __init__(self, path: Path, file_bytes: int = _FILE_BYTES) -> None:
        """Go on behind what an earlier run left."""
        self.path = path
        self._file_bytes = file_bytes
        self._file = path.open("ab", buffering=0)
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, line: bytes) -> None:
        """Add one line; on a full disk to the tail alone."""
        # An error here would end the reading, and a child whose output nobody reads stands still.
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

    def forget(self) -> None:
        """Start a new process's tail."""
        self._tail.clear()

    def last_words(self) -> str:
        """Return the line that most likely says why the process ended; empty if it was silent."""
        lines = list(self._tail)
        telling = [line for line in lines if _is_telling(line)] or lines
        return _readable(telling[-1])[:_LINE_CHARACTERS] if telling else ""

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _is_telling(line: str) -> bool:
    """Tell whether a line is an error, or not of the log at all, as a traceback is not."""
    record = _record(line)
    return record is None or record.get("level") in ("error", "critical")


def _readable(line: str) -> str:
    """Take event and error, or the last line of the exception, out of a JSON log line."""
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
