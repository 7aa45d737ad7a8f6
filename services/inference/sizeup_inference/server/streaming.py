"""Raw ASGI for long requests: watch for a disconnect from the first byte, flush every event.

Starlette's own responses watch for it only once the response has begun, which is too late for a
client that disconnects while it is queued.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup_inference.errors import BodyTooLargeError, InferenceError
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.server.error_responses import to_response
from sizeup_inference.server.state import ServerState

MAX_BODY_BYTES = 24 * 2**20
"""The gateway's default limit is 20 MiB, and what it adds to each of 2,048 inputs is far below 4. A
prompt of a million tokens, as ids or as text, is smaller."""


class ResponseWriter:
    """Writes one JSON body, or a stream of events as NDJSON."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._asgi = (scope, receive, send)
        self._send = send
        self._started = False

    async def json(self, body: BaseModel) -> None:
        await Response(body.model_dump_json(), media_type="application/json")(*self._asgi)

    async def start(self) -> None:
        """Send status and headers of a stream, before its first events."""
        self._started = True
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def write(self, events: Sequence[BaseModel]) -> None:
        """Send a line for each event, all in one chunk; waits while the client reads too slowly."""
        if not self._started:
            await self.start()
        body = b"".join(event.model_dump_json().encode() + b"\n" for event in events)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


Handler = Callable[[ServedModel, bytes, ResponseWriter], Coroutine[None, None, None]]


def cancellable_response(state: ServerState, handler: Handler) -> ASGIApp:
    """Return an app that reads the body and runs a handler until the client disconnects.

    It counts the error of a request; the handler counts everything else.
    """

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            model = state.accepting_model()
            with model.in_use():
                body = await _read_body(Request(scope, receive))
                handling = handler(model, body, ResponseWriter(scope, receive, send))
                await _cancel_on_disconnect(receive, handling)
        except ClientDisconnect:
            state.metrics.count("cancelled")
        except InferenceError as error:
            state.metrics.count(error.code.value)
            await to_response(error)(scope, receive, send)

    return respond


async def _read_body(request: Request) -> bytes:
    """Return a request's body whatever its Content-Type, or raise BodyTooLargeError."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError(f"the body exceeds {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _cancel_on_disconnect(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Run `work`; when the client disconnects, cancel it and wait for its cleanup."""
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
