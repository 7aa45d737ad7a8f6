"""Endless input that is no request: memory of the gateway stays flat, and it goes on serving."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from chaos.deployment import Deployment, deployed

GROWTH_MIB = 5.0
"""What an allocator may keep; the attacks send tens to thousands of MiB."""
_PIECE_BYTES = 1 << 16
_POLL_SECONDS = 0.05
_WARM_UP_SECONDS = 0.3
_CONNECTIONS = 4
"""At once: a bound for one connection is none if each new one adds to the memory."""

_HEAD = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n"
_PROBE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
_UNREAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_CHAT = b'{"model":"chaos:1","messages":[]}'
_WHOLE = b"%sContent-Length: %d\r\n\r\n%s" % (_HEAD, len(_CHAT), _CHAT)
_CLOSING = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_UPGRADE = b"GET /livez HTTP/1.1\r\nHost: l\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Flood:
    """What one connection sends: the opening once, then the rest for ever."""

    opening: bytes
    rest: bytes


FLOODS = {
    "trailers": Flood(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X:a\r\n"),
    "one trailer": Flood(_CHUNKED + b"2\r\n{}\r\n0\r\nX:", b"a"),
    "trailer name": Flood(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"a"),
    "chunk extension": Flood(_CHUNKED + b"2;", b"a"),
    "chunks of one byte": Flood(_CHUNKED, b"1\r\n \r\n"),
    "blank lines in a chunk": Flood(_CHUNKED + b"fffffff\r\n", b"\r\n\r\n"),
    "last chunks in a chunk": Flood(_CHUNKED + b"fffffff\r\n", b"\r\n0\r\n\r\n"),
    "blank lines in a body": Flood(_UNREAD, b"\r\n\r\n"),
    "chunks of blank lines": Flood(_CHUNKED, b"4\r\n\r\n\r\n\r\n"),
    "chunks of 16 bytes": Flood(_CHUNKED, b"10\r\n                \r\n"),
    "chunk size": Flood(_CHUNKED, b"0"),
    "blank lines": Flood(b"", b"\r\n"),
    "blank lines after a request": Flood(_WHOLE, b"\r\n"),
    "method": Flood(b"", b"A"),
    "blank lines between requests": Flood(b"", _PROBE + b"\r\n" * 8000),
    "target": Flood(b"GET /", b"a"),
    "headers": Flood(_HEAD, b"X:a\r\n"),
    "header name": Flood(_HEAD, b"a"),
    "header value": Flood(_HEAD + b"X: ", b"a"),
    "pipelined requests": Flood(b"", _PROBE),
    "pipelined while answering": Flood(_WHOLE, _WHOLE),
    "unread body": Flood(_UNREAD, b"a"),
    "body of a refused request": Flood(_HEAD + b"Content-Length: 99999999999\r\n\r\n", b"a"),
    "chunks of a refused request": Flood(_CHUNKED, b"10\r\nxxxxxxxxxxxxxxxx\r\n"),
    "bytes after close": Flood(_CLOSING, b"a"),
    "requests after close": Flood(_CLOSING, _CLOSING),
    "garbage after an upgrade": Flood(_UPGRADE, b"\x00\x01PRI * HTTP/2.0\r\n"),
    "garbage": Flood(b"", b"\x16\x03\x01\x02\x00"),
}  # fmt: skip


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Serve with bodies so small that those of the attacks cannot hide other growth."""
    with deployed(tmp_path_factory.mktemp("floods"), gateway={"max_body_bytes": 1024}) as running:
        yield running


def flood(port: int, attack: Flood, until: float) -> None:
    """Send over one connection until the server closes it or the time is over."""
    piece, sent = attack.rest * (_PIECE_BYTES // len(attack.rest)), 0
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(attack.opening)
        client.setblocking(False)
        while time.monotonic() < until:
            readable, writable, _ = select.select([client], [client], [], _POLL_SECONDS)
            if readable and not client.recv(_PIECE_BYTES):
                return
            if writable:
                sent += client.send(piece[sent % len(attack.rest) :])


def flood_again(port: int, attack: Flood, until: float) -> None:
    """Send over one connection after the other."""
    while time.monotonic() < until:
        flood(port, attack, until)


@pytest.mark.parametrize("attack", FLOODS.values(), ids=FLOODS)
def test_memory_stays_flat(serving: Deployment, attack: Flood, attack_seconds: float) -> None:
    """The peak counts, and what stays after the clients have left."""
    flood_again(serving.gateway.port, attack, time.monotonic() + _WARM_UP_SECONDS)
    before = serving.gateway.resident_mib()
    until = time.monotonic() + attack_seconds
    with ThreadPoolExecutor(_CONNECTIONS) as clients:
        for _ in range(_CONNECTIONS):
            clients.submit(flood_again, serving.gateway.port, attack, until)
        peak = before
        while time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            peak = max(peak, serving.gateway.resident_mib())
    print(f"{before:.1f} MiB before, {peak:.1f} MiB at the peak")
    assert peak - before < GROWTH_MIB
    assert serving.is_serving()
