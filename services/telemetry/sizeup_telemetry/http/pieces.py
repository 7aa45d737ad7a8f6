"""Received bytes that the parser has not been given, in pieces that end where a request may end."""

_PIECE_BYTES = 64 * 2**10
"""Input is counted piece by piece, and may exceed a limit by one."""
_BLANK_LINE = b"\r\n\r\n"
_OVERLAP = len(_BLANK_LINE) - 1


class Pieces:
    """Keeps requests apart: the parser reads on behind the end of one, and cannot be stopped.

    The head of a request and a chunked body end with a blank line, any other body by its length.
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

    def next(self, length: int | None) -> bytes:
        """Return the next piece: up to a blank line, or of at most `length` bytes."""
        end = self._blank_line_end() if length is None else self._start + length
        end = min(end, self._start + _PIECE_BYTES, len(self._buffer))
        piece = self._buffer[self._start : end]
        self._start = end
        return piece

    def _blank_line_end(self) -> int:
        found = self._buffer.find(_BLANK_LINE, max(self._start - _OVERLAP, 0))
        return len(self._buffer) if found < 0 else found + len(_BLANK_LINE)
