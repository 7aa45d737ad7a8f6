"""Clients that stop sending, and clients that leave."""

import asyncio

import pytest

from telemetry.http.serving import LIMITS, Waiting, read_response, request, run_exchange, served


@pytest.mark.parametrize("line", ["GET /echo HTTP/1.1", "GET /echo HTTP/1.0"])
def test_a_half_closed_client_gets_its_response(line: str) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{line}\r\nHost: localhost\r\n\r\n".encode())
        writer.write_eof()
        received = await reader.read()
        assert b"200 OK" in received
        assert received.endswith(b"GET /echo ")

    run_exchange(exchange)


def test_a_half_closed_client_gets_all_its_responses() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /echo") * 3)
        writer.write_eof()
        for _ in range(3):
            assert await read_response(reader) == b"GET /echo "
        assert await reader.read() == b""

    run_exchange(exchange)


def test_a_half_closed_client_waits_for_a_slow_response() -> None:
    waiting = Waiting()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /wait"))
        writer.write_eof()
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not waiting.disconnected.is_set()
        waiting.release.set()
        assert await read_response(reader) == b"waited"
        assert await reader.read() == b""

    run_exchange(exchange, waiting=waiting)


def test_a_client_that_closes_is_noticed() -> None:
    async def run() -> None:
        waiting = Waiting()
        async with served(LIMITS, waiting) as port, asyncio.timeout(30):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("GET /wait"))
            await waiting.started.wait()
            writer.close()
            await writer.wait_closed()
            await waiting.disconnected.wait()

    asyncio.run(run())


@pytest.mark.parametrize("part", [b"GET /echo HT", request("POST /wait", "Content-Length: 5\r\n")])
def test_an_incomplete_request_of_a_half_closed_client_ends(part: bytes) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        writer.write_eof()
        assert await reader.read() == b""

    run_exchange(exchange)
