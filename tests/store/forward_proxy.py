"""An HTTP proxy on loopback that remembers what it was asked for; tunnels included."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """METHOD and target of each request."""
    refuses: bool = False
    """Wants a password, or another one."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, _, headers = head.partition("\r\n")
            method, target, _ = request.split(" ")
            self.asked.append(f"{method} {target}")
            if self.refuses:
                writer.write(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                return
            where = urlsplit(target if method != "CONNECT" else f"//{target}")
            assert where.hostname
            there, onwards = await asyncio.open_connection(where.hostname, where.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = f"{where.path}?{where.query}" if where.query else where.path
                onwards.write(
                    f"{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}".encode()
                )
            await asyncio.gather(_copy(reader, onwards), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@contextmanager
def running_proxy() -> Iterator[ForwardProxy]:
    proxy = ForwardProxy()
    started = threading.Event()
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            stopping.append((asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(10)
        yield proxy
    finally:
        loop, stop = stopping[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
