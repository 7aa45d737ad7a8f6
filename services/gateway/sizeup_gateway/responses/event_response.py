"""The HTTP response to one request, made of its inference events: streamed or whole.

A client that disconnects is noticed in every phase, because a separate task waits for the
disconnect; the task that responds is then cancelled, and with it the request to the replica.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Generic, TypeVar

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sizeup_gateway import client_identity
from sizeup_gateway.errors import INTERNAL_ERROR, BusyError, GatewayError, UpstreamError
from sizeup_gateway.observability.request_metrics import RequestMetrics, metrics_of
from sizeup_gateway.responses.framing import (
    JSON_TYPE,
    STREAM_HEADERS,
    Chunks,
    Framing,
    Json,
    Timing,
)
from sizeup_gateway.responses.json_bytes import JsonStream, encode_pieces, rechunk
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter
from sizeup_telemetry.drain import Drain, expire_now
from sizeup_telemetry.http.backlog import leave
from sizeup_telemetry.places import FullError, Places
from sizeup_wire.embeddings import Embedding, EmbedEvent
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text

_PIECE_BYTES = 2**16
"""A whole response is sent in pieces with backpressure, so that a client that reads slowly is not
mistaken for one that has stopped reading."""

_log = logging.getLogger(__name__)

EventT = TypeVar("EventT")
Accept = Callable[[EventT, RequestMetrics], bool]
"""Records an event; returns whether there is something to send. Raises UpstreamError for an event
that ends the request in an error."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The limits that all requests share."""

    places: Places
    """Of concurrent requests."""
    total_seconds: float
    drain: Drain
    memory: ResponseMemoryLimiter
    queue_seconds: float = 0.0
    """Before its first event, a request may have been queued for this long."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count a request while the block runs; raise BusyError if the limit is reached."""
        try:
            with self.places.held(client_identity.current.get()):
                yield
        except FullError:
            raise BusyError from None


@dataclass(slots=True, eq=False)
class EventResponse(Response, Generic[EventT]):
    """Sends the events of one request in a dialect."""

    events: Callable[[], AsyncGenerator[Sequence[EventT]]]
    """In batches, as they arrive from inference."""
    accept: Accept[EventT]
    chunks: Chunks[EventT]
    framing: Framing
    streams: bool
    admission: Admission
    to_client_error: Callable[[UpstreamError], GatewayError]
    """Restate an error of inference in the names that the client used."""
    total_seconds: float | None = None
    """Time limit; None is that of the admission, from the first event on."""
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    background: BackgroundTask | None = None
    """Unused; part of Starlette's Response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; raise GatewayError as long as nothing has been sent."""
        leave(scope)
        metrics = metrics_of(scope)
        work = asyncio.create_task(self._respond(_Connection(send), metrics))
        disconnect = asyncio.create_task(_client_disconnected(receive))
        try:
            await asyncio.wait({work, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled = not work.done()
            work.cancel()
            disconnect.cancel()
            await asyncio.gather(work, disconnect, return_exceptions=True)
            if cancelled:
                metrics.outcome = "cancelled"
        if not cancelled:
            work.result()

    async def _respond(self, connection: "_Connection", metrics: RequestMetrics) -> None:
        """Respond until the deadline, the end of the drain or the client's disconnect."""
        try:
            with self.admission.held(), metrics.in_flight():
                await self._before_deadline(connection, metrics)
        except GatewayError as raised:
            error = self.to_client_error(raised) if isinstance(raised, UpstreamError) else raised
            metrics.outcome = error.code
            if not connection.started:
                raise error from raised
            await connection.end(self.framing.error(error))
        except Exception:
            if not connection.started:
                raise
            _log.exception("request.failed")
            metrics.outcome = ErrorCode.INTERNAL
            await connection.end(
                self.framing.error(UpstreamError(ErrorCode.INTERNAL, INTERNAL_ERROR))
            )

    async def _before_deadline(self, connection: "_Connection", metrics: RequestMetrics) -> None:
        drain = self.admission.drain
        send = self._send_stream if self.streams else self._send_whole
        try:
            seconds = self.total_seconds or self.admission.total_seconds
            queue_seconds = 0.0 if self.total_seconds else self.admission.queue_seconds
            async with asyncio.timeout(seconds + queue_seconds) as deadline:
                with drain.guard(partial(expire_now, deadline)):
                    async with aclosing(self.events()) as events:
                        await send(events, connection, metrics, _FirstEvent(deadline, seconds))
        except TimeoutError:
            raise _timeout_error(drain) from None

    async def _send_stream(
        self,
        batches: AsyncGenerator[Sequence[EventT]],
        connection: "_Connection",
        metrics: RequestMetrics,
        first: "_FirstEvent",
    ) -> None:
        """Send the chunks of each batch in one write."""
        headers = {**STREAM_HEADERS, **self.extra_headers}
        async for batch in batches:
            first.note()
            chunks, error = self._to_chunks(batch, metrics)
            if not connection.started and (error is None or chunks):
                await connection.start(self.framing.media_type, headers)
            if chunks:
                await connection.write(self.framing.frame(chunks))
            if error is not None:
                raise error
        await connection.end(self.framing.end)

    def _to_chunks(
        self, events: Sequence[EventT], metrics: RequestMetrics
    ) -> tuple[Sequence[Json], UpstreamError | None]:
        """Return the chunks of events, and the error with which they end."""
        chunks: list[Json] = []
        timing = _timing(metrics)
        try:
            for event in events:
                if self.accept(event, metrics):
                    chunks += self.chunks.to_chunks(event, timing)
        except UpstreamError as error:
            return chunks, error
        return chunks, None

    async def _send_whole(
        self,
        batches: AsyncGenerator[Sequence[EventT]],
        connection: "_Connection",
        metrics: RequestMetrics,
        first: "_FirstEvent",
    ) -> None:
        with self.admission.memory.response() as count_bytes:
            async for batch in batches:
                first.note()
                for event in batch:
                    self.accept(event, metrics)
                    count_bytes(self.chunks.collect(event))
            response = self.chunks.to_response(_timing(metrics))
            body: Iterable[bytes | bytearray] = encode_pieces(response)
            length = {}
            if not any(isinstance(value, JsonStream) for value in response.values()):
                body = list(body)
                length = {"Content-Length": str(sum(map(len, body)))}
            await connection.start(JSON_TYPE, {**length, **self.extra_headers})
            for piece in rechunk(body, _PIECE_BYTES):
                await connection.write(piece)
                await asyncio.sleep(0)  # encoding a piece takes a millisecond: let others run
            await connection.end(b"")


@dataclass(slots=True)
class _FirstEvent:
    """Moves a deadline forward once a request has left the queues."""

    deadline: asyncio.Timeout | None
    seconds: float

    def note(self) -> None:
        """Count the seconds from here; no effect after the first event."""
        if self.deadline is None:
            return
        deadline, self.deadline = self.deadline, None
        latest = asyncio.get_running_loop().time() + self.seconds
        if not deadline.expired() and latest < (deadline.when() or latest):
            deadline.reschedule(latest)


class _Connection:
    """The connection to the client, as ASGI messages."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        """True once a status has been sent: from then on an error is part of the body."""

    async def start(self, media_type: str, headers: Mapping[str, str]) -> None:
        fields = {"Content-Type": media_type, **headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data})


async def _client_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def accept_event(event: Event, metrics: RequestMetrics) -> bool:
    """Record an event of inference; False for one that only reports that generation proceeds."""
    if isinstance(event, Failed):
        raise UpstreamError(event.code, event.message, event.param)
    metrics.record_event(event)
    return not (isinstance(event, Text) and not event.text and not event.logprobs)


def accept_embedding(event: EmbedEvent, metrics: RequestMetrics) -> bool:
    """Record an event of a batch, whose response is always whole."""
    if not isinstance(event, Embedding):
        accept_event(event, metrics)
    return False


def _timing(metrics: RequestMetrics) -> Timing:
    return Timing(datetime.now(UTC), metrics.elapsed_ns)


def _timeout_error(drain: Drain) -> UpstreamError:
    if drain.expired:
        return UpstreamError(ErrorCode.DRAINING, "the server is shutting down")
    return UpstreamError(ErrorCode.TIMEOUT, "the request timed out")
