"""Which of several concurrent causes ends a response, and the memory it uses until then."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message

from gateway.fake_inference import finished, started
from gateway.harness import until
from sizeup_gateway.api.ollama.chunks import ChatChunks
from sizeup_gateway.errors import BusyError, GatewayError, UpstreamError
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.request_metrics import RequestMetricsMiddleware
from sizeup_gateway.responses.event_response import Admission, EventResponse, accept_event
from sizeup_gateway.responses.framing import (
    NDJSON,
    SSE,
    Framing,
    Json,
    Timing,
    named_events,
)
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.places import Places
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text

_TIMEOUT_SECONDS = 60.0


class Connection:
    """One request without a server; the client does not disconnect."""

    def __init__(
        self,
        events: Callable[[], AsyncGenerator[Sequence[Event]]],
        drain: Drain,
        total_seconds: float = _TIMEOUT_SECONDS,
        memory: ResponseMemoryLimiter | None = None,
        framing: Framing | None = None,
    ) -> None:
        """Stream, or with a memory limiter send a whole response."""
        self.registry = CollectorRegistry()
        self.body = b""
        self.started_sending, self.reads = asyncio.Event(), asyncio.Event()
        self.reads.set()
        bound = memory or ResponseMemoryLimiter(1000, 1000)
        response = EventResponse(
            events=events,
            accept=accept_event,
            chunks=TypedChunks("m"),
            framing=framing or NDJSON,
            streams=memory is None,
            admission=Admission(Places(1), total_seconds, drain, bound),
            to_client_error=lambda error: error,
        )
        metrics = Metrics(self.registry)
        measured = RequestMetricsMiddleware(response, metrics, lambda path: path, ())
        scope = {"type": "http", "path": "/api/chat"}
        self.task = asyncio.create_task(measured(scope, self._receive, self._send))

    @property
    def last_line(self) -> object:
        return json.loads(self.body.splitlines()[-1])

    def count(self, outcome: str) -> float | None:
        labels = {"model": "unknown", "route": "/api/chat", "outcome": outcome}
        return self.registry.get_sample_value("sizeup_gateway_requests_total", labels)

    async def _receive(self) -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.body += message.get("body", b"")
        self.started_sending.set()
        await self.reads.wait()


class TypedChunks(ChatChunks):
    """Chunks of Ollama with the `type` that some framings need."""

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        return [{"type": "chunk", **chunk} for chunk in super().to_chunks(event, timing)]


async def endless() -> AsyncGenerator[Sequence[Event]]:
    yield [started()]
    yield [Text(text="x")]
    await asyncio.Event().wait()


def test_a_drain_deadline_during_a_timeout_is_not_a_crash() -> None:
    async def scenario() -> None:
        drain = Drain()

        async def draining_before_the_last_event() -> AsyncGenerator[Sequence[Event]]:
            try:
                async for event in endless():
                    yield event
            finally:
                drain.expire()

        pending = Connection(draining_before_the_last_event, drain, total_seconds=0.01)
        await pending.task
        assert pending.last_line == {"error": "the server is shutting down"}
        assert pending.count("draining") == 1

    asyncio.run(scenario())


def test_a_request_after_the_drain_deadline_is_rejected() -> None:
    async def scenario() -> None:
        drain = Drain()

        async def late() -> AsyncGenerator[Sequence[Event]]:
            yield [started()]
            drain.expire()
            async for event in endless():
                yield event

        first = Connection(late, drain)
        await first.task
        second = Connection(endless, drain)
        await second.task
        assert first.last_line == second.last_line == {"error": "the server is shutting down"}

    asyncio.run(scenario())


def test_a_cancelled_response_is_not_counted_as_ok() -> None:
    async def scenario() -> None:
        pending = Connection(endless, Drain())
        await until(lambda: b"x" in pending.body)
        pending.task.cancel()
        await asyncio.gather(pending.task, return_exceptions=True)
        assert pending.task.cancelled()
        assert pending.count("cancelled") == 1

    asyncio.run(scenario())


async def large() -> AsyncGenerator[Sequence[Event]]:
    yield [started()]
    yield [Text(text="x" * 2**17)]
    yield [finished(1)]


def test_a_response_counts_until_the_client_has_read_it() -> None:
    async def scenario() -> None:
        memory = ResponseMemoryLimiter(2**20, 2**16)
        slow = Connection(large, Drain(), memory=memory)
        slow.reads.clear()
        await slow.started_sending.wait()
        with pytest.raises(BusyError):
            await Connection(large, Drain(), memory=memory).task
        slow.reads.set()
        await slow.task
        after = Connection(large, Drain(), memory=memory)
        await after.task
        assert len(json.loads(after.body)["message"]["content"]) == 2**17

    asyncio.run(scenario())


def test_a_response_stops_counting_when_the_client_disconnects() -> None:
    async def scenario() -> None:
        memory = ResponseMemoryLimiter(2**20, 2**16)
        disconnected = Connection(large, Drain(), memory=memory)
        disconnected.reads.clear()
        await disconnected.started_sending.wait()
        disconnected.task.cancel()
        await asyncio.gather(disconnected.task, return_exceptions=True)
        await Connection(large, Drain(), memory=memory).task

    asyncio.run(scenario())


FAILURE = Failed(code=ErrorCode.UPSTREAM_LOST, message="gone")


def named_error(error: GatewayError) -> Sequence[Json]:
    return [{"type": "error", "error": {"message": error.message}}]


@pytest.mark.parametrize(
    ("framing", "error", "end"),
    [
        (NDJSON, b'\n{"error"', b'"}\n'),
        (SSE, b'\n\ndata: {"error"', b"}\n\ndata: [DONE]\n\n"),
        (named_events(named_error), b"\n\nevent: error\ndata: {", b"}\n\n"),
    ],
)
def test_a_batch_that_ends_in_a_failure_sends_its_tokens_and_then_the_error(
    framing: Framing, error: bytes, end: bytes
) -> None:
    async def together() -> AsyncGenerator[Sequence[Event]]:
        yield [started(), Text(text="first"), Text(text="second"), FAILURE]

    async def scenario() -> None:
        pending = Connection(together, Drain(), framing=framing)
        await pending.task
        body = pending.body
        assert body.index(b"first") < body.index(b"second") < body.index(error)
        assert body.count(error) == 1
        assert body.endswith(end)
        assert pending.count("upstream_lost") == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("events", [[FAILURE], [started(), FAILURE]])
def test_a_first_batch_without_anything_to_send_is_an_error_status(events: list[Event]) -> None:
    async def failing() -> AsyncGenerator[Sequence[Event]]:
        yield events

    async def scenario() -> None:
        pending = Connection(failing, Drain())
        with pytest.raises(UpstreamError):
            await pending.task
        assert not pending.started_sending.is_set()

    asyncio.run(scenario())


def test_a_whole_response_of_a_batch_that_ends_in_a_failure_is_an_error_status() -> None:
    async def together() -> AsyncGenerator[Sequence[Event]]:
        yield [started(), Text(text="first"), FAILURE]

    async def scenario() -> None:
        pending = Connection(together, Drain(), memory=ResponseMemoryLimiter(1000, 1000))
        with pytest.raises(UpstreamError):
            await pending.task
        assert not pending.started_sending.is_set()

    asyncio.run(scenario())
