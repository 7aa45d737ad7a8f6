"""A server with the limited protocol, and requests as bytes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from sizeup_telemetry.http.backlog import Backlog
from sizeup_telemetry.http.connections import Connections
from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.protocol import limited_protocol

DEADLINE_SECONDS = 30.0
"""A guard against hangs, wide enough for a busy machine."""
IDLE_SECONDS = 1
LIMITS = Limits(stalled_write_seconds=600.0, header_seconds=600.0, header_bytes=1000)
LENGTH = b"content-length"

Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server(uvicorn.Server):
    """A server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def echo(request: Request) -> Response:
    try:
        body = await request.body()
    except ClientDisconnect:  # else logged, and the record would keep the connection in memory
        return Response()
    return PlainTextResponse(f"{request.method} {request.url.path} {body.decode()}")


async def ignore(_request: Request) -> Response:
    return PlainTextResponse("unread")


async def stream(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one\n", b"", b"two\n"):
            yield piece

    return StreamingResponse(pieces())


class Waiting:
    """A route whose response waits for `release`, and what becomes of its requests."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.disconnected = asyncio.Event()

    async def respond(self, request: Request) -> Response:
        await request.body()
        self.started.set()
        waits = {
            asyncio.create_task(self.release.wait()),
            asyncio.create_task(self._watch(request)),
        }
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return PlainTextResponse("waited")

    async def _watch(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()


@asynccontextmanager
async def served(
    limits: Limits,
    waiting: Waiting | None = None,
    connections: Connections | None = None,
    app: ASGIApp | None = None,
    backlog: Backlog | None = None,
) -> AsyncIterator[int]:
    waiting = waiting or Waiting()
    routes = [
        Route("/echo", echo, methods=["GET", "POST"]),
        Route("/ignore", ignore),
        Route("/stream", stream),
        Route("/wait", waiting.respond, methods=["GET", "POST"]),
        Route("/livez", ignore),
    ]
    config = uvicorn.Config(
        app or Starlette(routes=routes),
        http=limited_protocol(limits, connections=connections, backlog=backlog),
        lifespan="off",
        log_config=None,
        timeout_keep_alive=IDLE_SECONDS,
    )
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def run_exchange(
    exchange: Exchange, limits: Limits = LIMITS, waiting: Waiting | None = None
) -> None:
    """Run an exchange over one connection."""

    async def run() -> None:
        async with served(limits, waiting) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await exchange(reader, writer)
            finally:
                writer.transport.abort()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


def request(line: str, fields: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n".encode() + body


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """Return the body of one response; each response here has a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(v for k, _, v in (h.partition(b": ") for h in head.split(b"\r\n")) if k == LENGTH)
    return await reader.readexactly(int(length))
