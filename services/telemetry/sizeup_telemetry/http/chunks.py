"""Where a chunked body ends: the sizes of its chunks are read, and their data is skipped."""

import re

_CHUNKS = 32
"""In one piece, each of them 3 microseconds of the parser and its callbacks."""
_LINE_END = len(b"\r\n")
_DIGITS = re.compile(rb"[0-9A-Fa-f]*")


class Chunks:
    """Follows one body. The parser rejects what is malformed; here it only has to end."""

    def __init__(self) -> None:
        self.is_last = False
        """Only trailers follow, and the blank line behind them."""
        self._data = 0
        """Bytes left of a chunk and its line end."""
        self._size = 0
        self._in_size = True
        """Rather than in an extension."""

    def end(self, buffer: bytes, start: int, stop: int) -> int:
        """Return the end of a piece of some chunks, or up to the trailers; `stop` at most."""
        for _ in range(_CHUNKS):
            start = self._skip_line(buffer, self._skip_data(start, stop), stop)
            if start == stop or self.is_last:
                break
        return start

    def _skip_data(self, start: int, stop: int) -> int:
        skipped = min(self._data, stop - start)
        self._data -= skipped
        return start + skipped

    def _skip_line(self, buffer: bytes, start: int, stop: int) -> int:
        """Read a size, or the part of it that has arrived."""
        if start == stop:
            return stop
        digits = self._read_digits(buffer, start, stop)
        end = buffer.find(b"\n", digits, stop) + 1
        if not end:
            self._in_size = self._in_size and digits == stop
            return stop
        self.is_last = not self._size
        self._data, self._size, self._in_size = self._size + _LINE_END, 0, True
        return end

    def _read_digits(self, buffer: bytes, start: int, stop: int) -> int:
        if not self._in_size:
            return start
        found = _DIGITS.match(buffer, start, stop)
        text = found[0] if found else b""
        self._size = self._size << 4 * len(text) | int(text or b"0", 16)
        return start + len(text)
