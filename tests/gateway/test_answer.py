"""How one answer ends when several things end it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

from prometheus_client import CollectorRegistry
from starlette.types import Message

from gateway.fake_inference import started
from gateway.harness import until
from sizeup_gateway.answer import Admission, Answer
from sizeup_gateway.gathering import Gathering
from sizeup_gateway.metrics import Metrics
from sizeup_gateway.observation import ObservationMiddleware
from sizeup_gateway.ollama.chunks import ChatChunks
from sizeup_gateway.stream import NdjsonFraming
from sizeup_telemetry.drain import Drain
from sizeup_wire.events import Event, Text

_PATIENCE_SECONDS = 60.0


class Asking:
    """One streamed request without a server around it; the person stays on the line."""

    def __init__(
        self,
        events: Callable[[], AsyncGenerator[Event]],
        drain: Drain,
        total_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self.registry = CollectorRegistry()
        self.body = b""
        answer = Answer(
            events=events,
            chunks=ChatChunks("m"),
            framing=NdjsonFraming(),
            streams=True,
            choices=1,
            admission=Admission(1, total_seconds, drain, Gathering(1000)),
        )
        observed = ObservationMiddleware(answer, Metrics.register(self.registry))
        scope = {"type": "http", "path": "/api/chat"}
        self.task = asyncio.create_task(observed(scope, self._receive, self._send))

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


async def endless() -> AsyncGenerator[Event]:
    yield started()
    yield Text(text="x")
    await asyncio.Event().wait()


def test_a_drain_that_ends_while_a_request_is_overdue_is_no_error_of_ours() -> None:
    async def scenario() -> None:
        drain = Drain()

        async def draining_at_the_end() -> AsyncGenerator[Event]:
            try:
                async for event in endless():
                    yield event
            finally:
                drain.expire()

        asking = Asking(draining_at_the_end, drain, total_seconds=0.01)
        await asking.task
        assert asking.last_line == {"error": "the server is shutting down"}
        assert asking.count("draining") == 1

    asyncio.run(scenario())


def test_a_request_that_begins_after_the_drain_is_told_so() -> None:
    async def scenario() -> None:
        drain = Drain()

        async def late() -> AsyncGenerator[Event]:
            yield started()
            drain.expire()
            async for event in endless():
                yield event

        first = Asking(late, drain)
        await first.task
        second = Asking(endless, drain)
        await second.task
        assert first.last_line == second.last_line == {"error": "the server is shutting down"}

    asyncio.run(scenario())


def test_an_answer_the_server_cuts_is_not_counted_as_a_good_one() -> None:
    async def scenario() -> None:
        asking = Asking(endless, Drain())
        await until(lambda: b"x" in asking.body)
        asking.task.cancel()
        await asyncio.gather(asking.task, return_exceptions=True)
        assert asking.task.cancelled()
        assert asking.count("cancelled") == 1

    asyncio.run(scenario())
