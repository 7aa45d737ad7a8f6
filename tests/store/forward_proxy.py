"""An HTTP proxy on loopback that records its requests, CONNECT tunnels included."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """METHOD and target of each request."""
    rejects: bool = False
    """Respond with 407."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, _, headers = head.partition("\r\n")
            method, target, _ = request.split(" ")
            self.requests.append(f"{method} {target}")
            if self.rejects:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                )
                writer.close()
                return
            url = urlsplit(target if method != "CONNECT" else f"//{target}")
            assert url.hostname
            upstream_reader, upstream = await asyncio.open_connection(url.hostname, url.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = f"{url.path}?{url.query}" if url.query else url.path
                upstream.write(
                    f"{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}".encode()
                )
            await asyncio.gather(_copy(reader, upstream), _copy(upstream_reader, writer))
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
