"""Answer one request: its events as a stream or in one piece, and always an end.

A person who hangs up is noticed in every phase, because one task does nothing but listen for it;
the answering task is then cancelled, and with it the request to the replica.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from starlette.types import Receive, Scope, Send

from sizeup_gateway.errors import BusyError, GatewayError, UpstreamError
from sizeup_gateway.observability.request_metrics import Observation, observation_of
from sizeup_gateway.responses.framing import JSON_TYPE, STREAM_HEADERS, Chunks, Framing, Moment
from sizeup_gateway.responses.json_bytes import packed, pieces_of
from sizeup_gateway.responses.memory_limit import Gathering
from sizeup_telemetry.drain import Drain, expire_now
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event, Failed, Text

_PIECE_BYTES = 2**16
"""A reply is sent in pieces so that each waits for the reader: a slow one that reads is not
taken for one that has stopped."""

_log = logging.getLogger(__name__)


class Admission:
    """Bound how many requests are answered at one time."""

    def __init__(
        self, limit: int, total_seconds: float, drain: Drain, gathering: Gathering
    ) -> None:
        """Share the limits of all requests."""
        self.total_seconds = total_seconds
        self.drain = drain
        self.gathering = gathering
        self._limit = limit
        self._taken = 0

    def __enter__(self) -> None:
        """Take a place, or raise BusyError."""
        if self._taken >= self._limit:
            raise BusyError
        self._taken += 1

    def __exit__(self, *exception: object) -> None:
        """Give the place back."""
        self._taken -= 1


@dataclass(slots=True, eq=False)
class Answer:
    """An ASGI application that answers one request."""

    events: Callable[[], AsyncGenerator[Event]]
    chunks: Chunks
    framing: Framing
    streams: bool
    admission: Admission
    to_param: Callable[[str], str] = str
    """Name a wire field as the request's dialect does; Ollama's errors name none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or raise GatewayError while nothing has been sent."""
        observation = observation_of(scope)
        work = asyncio.create_task(self._answer(_Line(send), observation))
        hang_up = asyncio.create_task(_hang_up(receive))
        try:
            await asyncio.wait({work, hang_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cut = not work.done()
            work.cancel()
            hang_up.cancel()
            await asyncio.gather(work, hang_up, return_exceptions=True)
            if cut:
                observation.outcome = "cancelled"
        if not cut:
            work.result()

    async def _answer(self, line: "_Line", observation: Observation) -> None:
        """Answer until the deadline, the drain's end or the person's going away."""
        try:
            with self.admission, observation.in_flight():
                await self._before_deadline(line, observation)
        except GatewayError as error:
            observation.outcome = error.code
            if isinstance(error, UpstreamError) and error.param is not None:
                error.param = self.to_param(error.param)
            if not line.open:
                raise
            await line.end(self.framing.failure(error))
        except Exception:
            if not line.open:
                raise
            _log.exception("answer.broken")
            observation.outcome = ErrorCode.INTERNAL
            await line.end(self.framing.failure(_internal()))

    async def _before_deadline(self, line: "_Line", observation: Observation) -> None:
        drain = self.admission.drain
        try:
            async with asyncio.timeout(self.admission.total_seconds) as deadline:
                with drain.guard(partial(expire_now, deadline)):
                    async with aclosing(self.events()) as events:
                        await (self._stream if self.streams else self._gather)(
                            events, line, observation
                        )
        except TimeoutError:
            raise _overdue(drain) from None

    async def _stream(
        self, events: AsyncGenerator[Event], line: "_Line", observation: Observation
    ) -> None:
        async for event in events:
            if isinstance(event, Failed):
                raise _failure(event)
            observation.saw(event)
            if not line.open:
                await line.begin(self.framing.media_type, STREAM_HEADERS)
            if _is_silence(event):
                continue
            chunks = self.chunks.to_chunks(event, _moment(observation))
            if chunks:
                await line.write(self.framing.frame(chunks))
        await line.end(self.framing.end())

    async def _gather(
        self, events: AsyncGenerator[Event], line: "_Line", observation: Observation
    ) -> None:
        with self.admission.gathering.reply() as count:
            async for event in events:
                if isinstance(event, Failed):
                    raise _failure(event)
                count(self.chunks.gather(event))
                observation.saw(event)
            body = list(pieces_of(self.chunks.to_reply(_moment(observation))))
            await line.begin(JSON_TYPE, {"Content-Length": str(sum(map(len, body)))})
            for piece in packed(body, _PIECE_BYTES):
                await line.write(piece)
            await line.end(b"")


class _Line:
    """The connection to the person: what ASGI wants sent, in its order."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.open = False
        """True once a status has been sent: from then on an error is part of the body."""

    async def begin(self, media_type: str, headers: Mapping[str, str]) -> None:
        fields = {"Content-Type": media_type, **headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        self.open = True
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data})


async def _hang_up(receive: Receive) -> None:
    """Return when the person has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_silence(event: Event) -> bool:
    """Tell whether an event only says that the model is at work."""
    return isinstance(event, Text) and not event.text and not event.logprobs


def _moment(observation: Observation) -> Moment:
    return Moment(datetime.now(UTC), observation.elapsed_ns)


def _failure(event: Failed) -> UpstreamError:
    return UpstreamError(Failure(code=event.code, message=event.message))


def _internal() -> UpstreamError:
    message = "internal error, see the log for this request id"
    return UpstreamError(Failure(code=ErrorCode.INTERNAL, message=message))


def _overdue(drain: Drain) -> UpstreamError:
    if drain.expired:
        message = "the server is shutting down"
        return UpstreamError(Failure(code=ErrorCode.DRAINING, message=message))
    message = "the request took too long"
    return UpstreamError(Failure(code=ErrorCode.TIMEOUT, message=message))
