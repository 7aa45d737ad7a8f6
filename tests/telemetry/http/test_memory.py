"""What connections keep in memory, and what remains of them."""

import asyncio
import gc
import socket
import struct

import pytest

from sizeup_telemetry.http.connections import Connections
from sizeup_telemetry.http.protocol import LimitedProtocol
from telemetry.http.serving import DEADLINE_SECONDS, LIMITS, Waiting, read_response, request, served

_RESET = struct.pack("ii", 1, 0)
_POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"


def live_protocols() -> int:
    gc.collect()
    return sum(issubclass(type(one), LimitedProtocol) for one in gc.get_objects())


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "sent",
    [b"", _POST, _POST + b"Content-Length: 9\r\n\r\n", request("GET /echo"), request("GET /wait")],
    ids=["idle", "headers", "body", "served", "waiting"],
)
def test_a_lost_connection_is_forgotten(sent: bytes, reset: bool) -> None:
    """A timer would keep it for the idle timeout."""

    async def run() -> None:
        waiting = Waiting()
        before = live_protocols()
        async with served(LIMITS, waiting) as port, asyncio.timeout(DEADLINE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            if sent == request("GET /echo"):
                await read_response(reader)
            while live_protocols() == before:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
            if reset:
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            while live_protocols() > before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_incomplete_headers_are_bounded_together() -> None:
    async def run() -> None:
        connections = Connections(100, max_held_bytes=1000)
        async with served(LIMITS, connections=connections) as port:
            first_reader, first = await asyncio.open_connection("127.0.0.1", port)
            first.write(_POST + b"X: " + b"x" * 700)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_POST + b"X: " + b"x" * 700)
            ended, _ = await asyncio.wait(
                {asyncio.create_task(one.read()) for one in (reader, first_reader)},
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert [task.result()[:12] for task in ended] == [b"HTTP/1.1 503"]
            first.transport.abort()
            writer.transport.abort()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


def test_pipelined_requests_are_bounded_together() -> None:
    """Those that do not fit are dropped, and the connection ends after the current response."""

    async def run() -> None:
        waiting = Waiting()
        connections = Connections(100, max_held_bytes=1000)
        async with served(LIMITS, waiting, connections) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("GET /wait") + request("GET /echo") * 100)
            await waiting.started.wait()
            waiting.release.set()
            assert await read_response(reader) == b"waited"
            assert await reader.read() == b""
            writer.close()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


def test_probes_are_served_beyond_the_limit_of_requests() -> None:
    async def run() -> None:
        waiting = Waiting()
        async with served(LIMITS, waiting, Connections(4)) as port:
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for _, writer in clients[:3]:
                writer.write(request("GET /wait"))
            await waiting.started.wait()
            reader, writer = clients[3]
            writer.write(request("GET /livez"))
            assert await read_response(reader) == b"unread"
            writer.write(request("GET /echo"))
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            waiting.release.set()
            for _, writer in clients:
                writer.close()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


def test_incomplete_bodies_leave_connections_for_others() -> None:
    async def run() -> None:
        async with served(LIMITS, connections=Connections(4)) as port:
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for reader, writer in clients[:3]:
                writer.write(_POST + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
                await reader.readuntil(b"100 Continue\r\n\r\n")
            reader, writer = clients[3]
            writer.write(request("POST /echo", body=b"x"))
            assert await read_response(reader) == b"POST /echo x"
            assert (await clients[0][0].read()).startswith(b"HTTP/1.1 503 ")
            clients[1][1].write(b"x" * 1000)
            assert await read_response(clients[1][0]) == b"POST /echo " + b"x" * 1000
            for _, writer in clients:
                writer.close()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))
