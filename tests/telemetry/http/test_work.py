"""What is done in one turn of the event loop, by input that is hostile to parse."""

import asyncio
from typing import Any

import httptools
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.protocol import LimitedProtocol, limited_protocol

READ_BYTES = 256 * 2**10
"""What asyncio reads at once."""
STEPS = 5000
"""Calls of the parser and its callbacks, a millisecond or two."""
LIMITS = Limits(stalled_write_seconds=600.0, header_seconds=600.0)

_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_LAST = _CHUNKED + b"1\r\nx\r\n0\r\n"

READS = {
    "blank lines in a chunk": (_CHUNKED + b"fffffff\r\n", b"\r\n\r\n"),
    "last chunks in a chunk": (_CHUNKED + b"fffffff\r\n", b"\r\n0\r\n\r\n"),
    "blank lines in a body": (_HEAD + b"Content-Length: 999999\r\n\r\n", b"\r\n\r\n"),
    "chunks of blank lines": (_CHUNKED, b"4\r\n\r\n\r\n\r\n"),
    "chunks of one byte": (_CHUNKED, b"1\r\n \r\n"),
    "chunks of 16 bytes": (_CHUNKED, b"10\r\n                \r\n"),
    "chunk extensions": (_CHUNKED, b"1;a=b\r\n \r\n"),
    "trailers": (_LAST, b"X:a\r\n"),
    "empty trailers": (_LAST, b"X:\r\n"),
    "headers": (_HEAD, b"X:\r\n"),
    "blank lines": (b"", b"\r\n"),
    "line feeds": (b"", b"\n"),
    "requests": (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
}  # fmt: skip
"""What was received before, and what a read is full of."""


class Transport(asyncio.Transport):
    """Discards output."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Counting:
    """A parser's protocol that counts the calls of its callbacks."""

    def __init__(self, protocol: LimitedProtocol) -> None:
        self.count = 0
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        callback = getattr(self._protocol, name)

        def count(*values: Any) -> None:
            self.count += 1
            callback(*values)

        return count


class CountedParser:
    """The parser of a protocol, whose calls are counted too."""

    def __init__(self, protocol: LimitedProtocol) -> None:
        self.callbacks = Counting(protocol)
        self._parser = httptools.HttpRequestParser(self.callbacks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        self.callbacks.count += 1
        self._parser.feed_data(data)


async def wait(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Leave the body unread."""
    await asyncio.Event().wait()


def connected() -> tuple[LimitedProtocol, Transport]:
    config = uvicorn.Config(wait, http=limited_protocol(LIMITS), lifespan="off", log_config=None)
    protocol = limited_protocol(LIMITS)(config, ServerState(), {})
    transport = Transport()
    protocol.connection_made(transport)
    return protocol, transport


@pytest.mark.parametrize(("before", "part"), READS.values(), ids=READS)
def test_the_work_of_a_read_is_bounded(before: bytes, part: bytes) -> None:
    async def run() -> None:
        protocol, _ = connected()
        parser = CountedParser(protocol)
        protocol.parser = parser  # type: ignore[assignment]
        protocol.data_received(before)
        parser.callbacks.count = 0
        protocol.data_received(part * (READ_BYTES // len(part)))
        assert parser.callbacks.count < STEPS
        protocol.connection_lost(None)

    asyncio.run(run())


def test_nothing_more_is_read_until_the_application_takes_the_body() -> None:
    async def run() -> None:
        protocol, transport = connected()
        protocol.data_received(_CHUNKED + b"100\r\n%b\r\n" % (b"x" * 256) * 1000)
        assert transport.is_paused
        while protocol.flow.stopped:  # noqa: ASYNC110 - turns of the loop are what it waits for
            await asyncio.sleep(0)
        assert transport.is_paused
        protocol.connection_lost(None)

    asyncio.run(run())
