"""A proxy that cuts the connections of requests after a random number of bytes."""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Iterator

_BYTES = 9000
"""Twice the response of the tests: half of them are cut."""
_PIECE = 2**14


class CuttingProxy:
    """Probes pass; of a connection with a POST, part of the response does, while `cuts` is true."""

    def __init__(self, seed: int) -> None:
        self.cuts = False
        self.count = 0
        """Connections that were cut."""
        self._random = random.Random(seed)

    @contextlib.contextmanager
    def __call__(self, port: int) -> Iterator[int]:
        """Run in front of a port."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, daemon=True)
            thread.start()
            serving = asyncio.run_coroutine_threadsafe(self._serve(listening, port), loop)
            try:
                yield listening.getsockname()[1]
            finally:
                serving.cancel()
                asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result()
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

    async def _serve(self, listening: socket.socket, port: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await self._forward(reader, writer, port)
            writer.transport.abort()

        server = await asyncio.start_server(connected, sock=listening)
        async with server:
            await server.serve_forever()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        upstream, sink = await asyncio.open_connection("127.0.0.1", port)
        left: list[int] = []
        """Bytes until the cut, once there is one."""

        async def requests() -> None:
            while piece := await reader.read(_PIECE):
                if self.cuts and not left and piece.startswith(b"POST"):
                    left.append(self._random.randrange(_BYTES))
                sink.write(piece)

        async def responses() -> None:
            while piece := await upstream.read(_PIECE):
                if left and len(piece) >= left[0]:
                    writer.write(piece[: left[0]])
                    await writer.drain()
                    self.count += 1
                    return
                if left:
                    left[0] -= len(piece)
                writer.write(piece)
                await writer.drain()

        both = {asyncio.create_task(requests()), asyncio.create_task(responses())}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sink.transport.abort()
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
