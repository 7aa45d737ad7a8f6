"""Requests and responses of one connection, over real sockets."""

import asyncio
import contextlib

import pytest

from telemetry.http.serving import IDLE_SECONDS, read_response, request, run_exchange

_H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize(
    ("opening", "more"),
    [
        (b"", b"\r\n"),
        (request("GET /echo"), b"\r\n"),
        (request("GET /ignore", "Content-Length: 1000000\r\n"), b"x"),
        (request("GET /ignore", "Transfer-Encoding: chunked\r\n"), b"1\r\nx\r\n"),
    ],
    ids=["leading line ends", "line ends after a response", "unread body", "unread chunks"],
)
def test_bytes_without_a_request_do_not_keep_a_connection_open(opening: bytes, more: bytes) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(opening)
        if opening:
            await read_response(reader)
        end = asyncio.create_task(reader.read())
        while not end.done():
            writer.write(more)
            await asyncio.wait({end}, timeout=IDLE_SECONDS / 10)
        with contextlib.suppress(ConnectionError):
            assert end.result() == b""

    run_exchange(exchange)


def test_a_connection_with_requests_is_kept_open() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for i in range(3):
            writer.write(b"\r\n" + request("POST /echo", body=b"%d" % i))
            assert await read_response(reader) == b"POST /echo %d" % i

    run_exchange(exchange)


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n0\r\n\r\n", b" "], ids=repr)
def test_a_large_chunked_body_arrives_whole(data: bytes) -> None:
    body = data * (2**20 // len(data))
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    sent = request("POST /echo", "Transfer-Encoding: chunked\r\n") + chunk

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent + sent)
        for _ in range(2):
            assert await read_response(reader) == b"POST /echo " + body

    run_exchange(exchange)


def test_unbounded_headers_are_rejected() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX: ")
        response = asyncio.create_task(reader.read())
        while not response.done():
            writer.write(b"x" * 100)
            await asyncio.wait({response}, timeout=0.01)
        assert response.result().startswith(b"HTTP/1.1 431 ")

    run_exchange(exchange)


def test_headers_in_several_reads_are_accepted() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in request("GET /echo", f"X: {'x' * 100}\r\n"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await read_response(reader) == b"GET /echo "

    run_exchange(exchange)


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "body later"])
def test_an_upgrade_offer_keeps_the_body(pieces: int) -> None:
    """Java's HTTP client offers h2c with every request to an http address."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            whole = request("POST /echo", _H2C, b"the body")
            writer.write(whole[:-4] if pieces == 2 else whole)
            if pieces == 2:
                await asyncio.sleep(0.05)  # usually arrives separately; both orders are valid
                writer.write(whole[-4:])
            assert await read_response(reader) == b"POST /echo the body"

    run_exchange(exchange)


def test_a_websocket_offer_is_served_as_plain_http() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /echo", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        assert await read_response(reader) == b"GET /echo "

    run_exchange(exchange)


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
    ids=["two lengths", "length and chunks", "tls"],
)
def test_a_malformed_request_is_rejected_and_the_connection_closed(raw: bytes) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")

    run_exchange(exchange)


@pytest.mark.parametrize("fields", ["", "Connection: keep-alive\r\n"])
def test_a_stream_to_http_1_0_ends_with_the_connection(fields: str) -> None:
    """HTTP/1.0 has no chunked encoding."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"GET /stream HTTP/1.0\r\n{fields}\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
        assert b"transfer-encoding" not in names
        assert b"content-length" not in names
        assert b"connection: close" in head
        assert body == b"one\ntwo\n"

    run_exchange(exchange)


def test_a_whole_response_to_http_1_0_has_its_length() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /echo HTTP/1.0\r\n\r\n")
        assert await read_response(reader) == b"GET /echo "
        assert await reader.read() == b""

    run_exchange(exchange)


def test_a_stream_to_http_1_1_is_chunked() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(request("GET /stream"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head
            assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"

    run_exchange(exchange)
