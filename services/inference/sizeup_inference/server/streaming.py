"""Raw ASGI for long answers: watch the client from the first byte, flush each event.

Starlette's own responses begin to watch once the response has begun, which is too late for a
client that hangs up in the queue.
"""

import asyncio
from collections.abc import Coroutine, Sequence

from starlette.types import Receive, Send

from sizeup_inference.errors import BodyTooLargeError
from sizeup_wire.events import Event

MAX_BODY_BYTES = 16 * 2**20
"""A prompt of a million tokens, as ids or as text, is below this."""


class ClientGoneError(Exception):
    """The client hung up while it sent its request."""


async def read_body(receive: Receive) -> bytes:
    """Read a request's body; raise BodyTooLargeError as soon as it is."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def unless_disconnected(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Run work to its end, or cancel it and wait for its cleanup when the client hangs up."""
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watcher.cancel()
        task.cancel()
        await asyncio.wait((task, watcher))
    if not task.cancelled():
        task.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventWriter:
    """Write a stream of events as NDJSON; the server cuts a connection nobody reads."""

    def __init__(self, send: Send) -> None:
        """Write nothing yet."""
        self._send = send

    async def start(self) -> None:
        """Send status and headers."""
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def write(self, events: Sequence[Event]) -> None:
        """Send a line for each event in one piece."""
        body = b"".join(event.model_dump_json().encode() + b"\n" for event in events)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """Close the response."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
