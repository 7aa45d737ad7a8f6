"""Received bytes that the parser has not been given, in pieces that end where a request may end."""

import re

from sizeup_telemetry.http.chunks import Chunks

_PIECE_BYTES = 64 * 2**10
"""Input is counted piece by piece, and may exceed a limit by one."""
_LINES_BYTES = 4 * 2**10
"""Of headers and trailers, where the parser has a callback for every few bytes."""
_BLANK_LINE = b"\r\n\r\n"
_OVERLAP = len(_BLANK_LINE) - 1
_LINE_ENDS = re.compile(rb"[\r\n]*")


class Pieces:
    """Keeps requests apart: the parser reads on behind the end of one, and cannot be stopped.

    The head of a request and trailers end with a blank line, a body by its length or its chunks.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0
        """Of what remains; up to _OVERLAP bytes before it are kept to find a blank line."""

    def __len__(self) -> int:
        return len(self._buffer) - self._start

    def append(self, data: bytes) -> None:
        kept = min(self._start, _OVERLAP)
        self._buffer = self._buffer[self._start - kept :] + data
        self._start = kept

    def clear(self) -> None:
        self._buffer, self._start = b"", 0

    def drop_line_ends(self) -> int:
        """Drop those before a request, which the parser would skip; return their number."""
        found = _LINE_ENDS.match(self._buffer, self._start)
        start, self._start = self._start, found.end() if found else self._start
        return self._start - start

    def next_lines(self) -> bytes:
        """Return a piece up to a blank line."""
        stop = self._stop(_LINES_BYTES)
        found = self._buffer.find(_BLANK_LINE, max(self._start - _OVERLAP, 0), stop)
        return self._take(stop if found < 0 else found + len(_BLANK_LINE))

    def next_body(self, length: int) -> bytes:
        """Return a piece of at most `length` bytes."""
        return self._take(self._stop(min(length, _PIECE_BYTES)))

    def next_chunks(self, chunks: Chunks) -> bytes:
        """Return a piece of a chunked body or its trailers."""
        if chunks.is_last:
            return self.next_lines()
        return self._take(chunks.end(self._buffer, self._start, self._stop(_PIECE_BYTES)))

    def _stop(self, length: int) -> int:
        return min(self._start + length, len(self._buffer))

    def _take(self, end: int) -> bytes:
        piece = self._buffer[self._start : end]
        self._start = end
        return piece
