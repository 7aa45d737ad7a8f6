"""What is refused, and how: JSON, `Connection: close`, and time to read it."""

import asyncio
import json
from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from telemetry.http.serving import (
    LIMITS,
    Waiting,
    read_response,
    request,
    run_exchange,
    served,
)

_POST = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED = f"{_POST}Transfer-Encoding: chunked\r\n\r\n".encode()
BIG_BYTES = 4 * 2**20
"""More than the buffers of both sockets."""


def status_and_body(response: bytes) -> tuple[int, bytes]:
    """Return status and body of a response that ends the connection."""
    head, _, body = response.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert fields[b"connection"] == b"close"
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"x-request-id"]
    assert int(fields[b"content-length"]) == len(body)
    return int(head.split(b" ")[1]), body


async def send_endlessly(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 1000)
        await writer.drain()
        await asyncio.sleep(0.01)


REFUSED = {
    "request line": (b"GET /\r\n\r\n", 400),
    "method": (request("BREW /echo"), 405),
    "connect": (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "version": (b"GET /echo HTTP/3.0\r\n\r\n", 400),
    "header name": (request("GET /echo", "a b: c\r\n"), 400),
    "header value": (request("GET /echo", "a: b\x00\r\n"), 400),
    "folded header": (request("GET /echo", "a: b\r\n c\r\n"), 400),
    "two lengths": (_POST.encode() + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    "length": (_POST.encode() + b"Content-Length: -1\r\n\r\n", 400),
    "length and chunks": (_CHUNKED[:-2] + b"Content-Length: 1\r\n\r\n0\r\n\r\n", 400),
    "coding": (request("GET /echo", "Transfer-Encoding: gzip\r\n"), 400),
    "codings": (request("GET /echo", "Transfer-Encoding: gzip, chunked\r\n"), 400),
    "chunks in 1.0": (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunk size": (_CHUNKED + b"x\r\n", 400),
    "chunk end": (_CHUNKED + b"1\r\nxx", 400),
    "chunk extension": (_CHUNKED + b"1;" + b"x" * 2000, 400),
    "chunks of one byte": (_CHUNKED + b"1\r\nx\r\n" * 1000, 400),
    "chunks of four bytes": (_CHUNKED + b"4\r\nxxxx\r\n" * 1000, 400),
    "trailers": (_CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X:a\r\n" * 1000, 400),
    "one trailer": (_CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"a" * 2000, 400),
    "blank lines": (b"\r\n" * 1000, 400),
    "url": (request("GET /" + "x" * 700), 414),
    "header bytes": (request("GET /echo", f"X: {'x' * 1000}\r\n"), 431),
    "unfinished header": (_POST.encode() + b"x" * 1000, 431),
    "header count": (request("GET /echo", "X:a\r\n" * 20), 431),
    "control character": (request("GET /echo%0a"), 400),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_refusal_is_json_and_ends_the_connection(raw: bytes, status: int, at_once: bool) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(raw), len(raw) if at_once else 100):
            writer.write(raw[start : start + (len(raw) if at_once else 100)])
            await writer.drain()
            await asyncio.sleep(0)
        found, body = status_and_body(await reader.read())
        assert found == status
        assert set(json.loads(body)) == {"error"}

    run_exchange(exchange, replace(LIMITS, target_bytes=500, header_count=10))


def test_a_refusal_has_the_request_id_of_the_client() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /echo", "X-Request-Id: abc\r\nTransfer-Encoding: gzip\r\n"))
        assert b"x-request-id: abc\r\n" in await reader.read()

    run_exchange(exchange)


def test_garbage_behind_a_request_waits_for_its_response() -> None:
    waiting = Waiting()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /wait") + b"\x00garbage")
        await waiting.started.wait()
        waiting.release.set()
        assert await read_response(reader) == b"waited"
        assert status_and_body(await reader.read())[0] == 400

    run_exchange(exchange, waiting=waiting)


def test_garbage_does_not_enter_a_stream() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /stream") + b"\x00garbage")
        body = await reader.readuntil(b"0\r\n\r\n")
        assert body.endswith(b"\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")
        assert status_and_body(await reader.read())[0] == 400

    run_exchange(exchange)


def test_pipelined_requests_are_served_one_after_another() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 1000
        writer.write(b"".join(request("POST /echo", body=b"%d" % i) for i in range(count)))
        for i in range(count):
            assert await read_response(reader) == b"POST /echo %d" % i

    run_exchange(exchange)


@pytest.mark.parametrize("path", ["/ignore", "/nowhere"])
def test_an_early_response_closes_and_is_received(path: str) -> None:
    """The client sends everything before it reads."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request(f"GET {path}", f"Content-Length: {BIG_BYTES}\r\n"))
        writer.write(b"x" * BIG_BYTES)
        await writer.drain()
        assert b"connection: close" in await reader.read()

    run_exchange(exchange)


def test_a_client_that_goes_on_sending_is_cut() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /ignore", "Content-Length: 99999999999\r\n"))
        with pytest.raises(ConnectionError):
            await send_endlessly(writer)

    run_exchange(exchange, replace(LIMITS, lingering_seconds=0.2))


@pytest.mark.parametrize(
    "part",
    [b"GET /echo HTTP/1.1\r\nHost", _POST.encode() + b"Content-Length: 9\r\n\r\n", _CHUNKED + b"2"],
    ids=["headers", "body", "chunks"],
)
def test_a_request_that_stops_is_timed_out(part: bytes) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        assert status_and_body(await reader.read())[0] == 408

    run_exchange(exchange, replace(LIMITS, header_seconds=0.1, body_idle_seconds=0.1))


def test_a_slow_application_is_no_slow_client() -> None:
    """The body waits for the application, which has not read it."""
    waiting = Waiting()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("POST /wait", "Expect: 100-continue\r\nContent-Length: 1\r\n"))
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x")
        await waiting.started.wait()
        await asyncio.sleep(0.2)  # twice the limit
        waiting.release.set()
        assert await read_response(reader) == b"waited"

    run_exchange(exchange, replace(LIMITS, body_idle_seconds=0.1), waiting)


def test_an_application_that_fails_without_a_response_is_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("a bug")

    async def run() -> None:
        async with served(LIMITS, app=fail) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("GET /echo"))
            found, body = status_and_body(await reader.read())
            assert found == 500
            assert set(json.loads(body)) == {"error"}
            writer.close()

    asyncio.run(run())
    assert "Exception in ASGI application" in caplog.text
