"""A chunked body ends where the parser says that it does."""

import httptools
import pytest

from sizeup_telemetry.http.chunks import Chunks
from sizeup_telemetry.http.pieces import Pieces

BODIES = {
    "empty": b"0\r\n\r\n",
    "one chunk": b"5\r\nhello\r\n0\r\n\r\n",
    "blank lines as data": b"8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
    "a last chunk as data": b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
    "leading zeros": b"0005\r\nhello\r\n000\r\n\r\n",
    "digits of both cases": b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "extensions": b'5;a=b;c="0"\r\nhello\r\n0;last\r\n\r\n',
    "trailers": b"5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n",
    "many chunks": b"1\r\nx\r\n" * 100 + b"0\r\n\r\n",
}
_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
_NEXT = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Parsed:
    """What the parser reports of one request."""

    def __init__(self) -> None:
        self.is_complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD)

    def feed(self, piece: bytes) -> None:
        self._parser.feed_data(piece)

    def on_message_complete(self) -> None:
        self.is_complete = True


def fed(parts: list[bytes]) -> bytes:
    """Feed pieces until the request is complete; return what is left of the input."""
    parsed, pieces, chunks = Parsed(), Pieces(), Chunks()
    pieces.append(_HEAD)
    pieces.next_lines()
    for part in parts:
        pieces.append(part)
        while pieces and not parsed.is_complete:
            parsed.feed(pieces.next_chunks(chunks))
    assert parsed.is_complete
    return pieces.next_lines()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_ends_where_the_parser_ends_it(body: bytes) -> None:
    for cut in range(len(body) + 1):
        assert fed([body[:cut], body[cut:] + _NEXT]) == _NEXT
    assert fed([bytes([byte]) for byte in body] + [_NEXT]) == _NEXT


def test_a_piece_has_few_chunks() -> None:
    pieces = Pieces()
    pieces.append(b"1\r\nx\r\n" * 1000)
    assert len(pieces.next_chunks(Chunks())) < 1000


def test_data_is_skipped_whatever_it_is() -> None:
    pieces, chunks = Pieces(), Chunks()
    pieces.append(b"fffffff\r\n" + b"\r\n0\r\n\r\n" * 8192)
    assert len(pieces.next_chunks(chunks)) + len(pieces.next_chunks(chunks)) == 7 * 8192 + 9
