"""Runs a comparison: a task for each answer, and their updates as one stream.

An answer that fails, waits or is stopped leaves the others alone. Updates pass a bounded queue, so
that a client that reads slowly slows the answers down instead of filling memory.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from sizeup_gateway.comparison.agreement import agree
from sizeup_gateway.comparison.figures import Stopwatch
from sizeup_gateway.comparison.updates import (
    AllEnded,
    Answer,
    Begun,
    Ended,
    FailedAnswer,
    Generating,
    Output,
    Plan,
    Status,
    StatusChanged,
    Update,
)
from sizeup_gateway.errors import INTERNAL_ERROR, GatewayError, UpstreamError
from sizeup_gateway.model_state import ModelState
from sizeup_gateway.observability.request_metrics import RequestMetrics
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Finished, Started, Text, Thinking, ToolCall

_log = logging.getLogger(__name__)

_MAX_QUEUED_UPDATES = 64
_LOOK_SECONDS = 1.0
"""Interval at which the state of a model that is not ready is looked at."""
_RETRY_SECONDS = 1.0
"""Mean pause before a model that was busy or not ready is tried again."""
_TRANSIENT = (ErrorCode.NOT_READY, ErrorCode.BUSY, ErrorCode.DRAINING)

Measure = Callable[[str], RequestMetrics]
"""Begins the metrics of one answer, by the key of its model."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Of one answer, in seconds."""

    wait: float
    """For a model that is busy or not ready."""
    total: float


@dataclass(slots=True, eq=False)
class _Running:
    answer: Answer
    stopwatch: Stopwatch = field(init=False)
    metrics: RequestMetrics = field(init=False)
    """Like the task, from its turn on."""
    status: tuple[Status, float | None] | None = None
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    task: asyncio.Task[Finished] | None = None
    stopped: bool = False
    ended: bool = False


class FanOut:
    def __init__(
        self, plan: Plan, dispatcher: Dispatcher, measure: Measure, limits: AnswerLimits
    ) -> None:
        self._plan = plan
        self._dispatcher = dispatcher
        self._measure = measure
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._queue: asyncio.Queue[Update] = asyncio.Queue(_MAX_QUEUED_UPDATES)
        self._running = [_Running(answer) for answer in plan.answers]
        self._generating: set[_Running] = set()

    async def updates(self) -> AsyncGenerator[Sequence[Update]]:
        """Yield every update in batches, AllEnded the last; closing it cancels the answers."""
        ended: list[Ended | FailedAnswer] = []
        work = asyncio.create_task(self._make_all())
        work.add_done_callback(self._wake_after_crash)
        try:
            yield [Begun(self._plan)]
            while len(ended) < len(self._running):
                updates = await self._next_updates()
                if work.done():
                    work.result()  # raises after a crash
                ended += [one for one in updates if isinstance(one, Ended | FailedAnswer)]
                yield updates
            yield [_summary(self._plan, ended, self._loop.time() - self._begun)]
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _next_updates(self) -> Sequence[Update]:
        """Return all updates that are queued, at least one."""
        updates = [await self._queue.get()]
        while not self._queue.empty():
            updates.append(self._queue.get_nowait())
        return updates

    def _wake_after_crash(self, work: asyncio.Task[None]) -> None:
        if work.cancelled() or work.exception() is None:
            return
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(Begun(self._plan))  # any update does

    def stop(self, model: str, sample: int | None) -> int:
        """Stop the answers of a model, or one of them; return how many had not ended."""
        found = [
            running
            for running in self._running
            if running.answer.name.lower() == model.lower()
            and sample in (None, running.answer.sample)
            and not (running.stopped or running.ended)
        ]
        for running in found:
            running.stopped = True
            if running.task is not None:
                running.task.cancel()
        return len(found)

    async def _make_all(self) -> None:
        if not self._plan.one_at_a_time:
            async with asyncio.TaskGroup() as group:
                for running in self._running:
                    group.create_task(self._make(running))
            return
        for running in self._running:
            await self._report_status(running, Status.WAITING)
        for running in self._running:
            await self._make(running)

    async def _make(self, running: _Running) -> None:
        """Make one answer in a task of its own, which `stop` can cancel, and report its end."""
        running.stopwatch = Stopwatch(self._loop.time())
        running.metrics = self._measure(running.answer.model.key)
        task = running.task = asyncio.create_task(self._answer(running))
        if running.stopped:
            task.cancel()
        try:
            with running.metrics.in_flight():
                await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._generating.discard(running)
            end = self._end_of(running, task)
            running.metrics.finish()
        running.ended = True
        await self._queue.put(end)

    def _end_of(self, running: _Running, task: asyncio.Task[Finished]) -> Ended | FailedAnswer:
        text, thinking = "".join(running.text), "".join(running.thinking)
        finished = None
        if task.cancelled():
            running.metrics.outcome = "cancelled"
        elif (raised := task.exception()) is not None:
            error = _to_gateway_error(raised)
            running.metrics.outcome = error.code
            return FailedAnswer(running.answer, text, thinking, error)
        else:
            finished = task.result()
            running.metrics.record_event(finished)
        price = running.answer.model.entry.price
        figures = running.stopwatch.figures(self._loop.time(), finished, price)
        said = "".join([text, *map(_call_text, running.calls)])
        return Ended(running.answer, text, thinking, figures, finished, said)

    async def _answer(self, running: _Running) -> Finished:
        """Return the end of an answer; raise GatewayError if it fails."""
        looking = asyncio.create_task(self._report_waiting(running))
        try:
            async with (
                asyncio.timeout(self._limits.total),
                aclosing(self._events(running)) as events,
            ):
                async for event in events:
                    if isinstance(event, Finished):
                        return event
                    await self._report(running, event, looking)
        except TimeoutError:
            raise UpstreamError(ErrorCode.TIMEOUT, "the request timed out") from None
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        raise UpstreamError(ErrorCode.UPSTREAM_LOST, "the answer has no end")

    async def _events(self, running: _Running) -> AsyncGenerator[Event]:
        """Yield the events of an answer; while the model is busy or not ready, try again."""
        answer, deadline = running.answer, self._loop.time() + self._limits.wait
        while True:
            begun = self._loop.time()
            events = self._dispatcher.generate(
                answer.model, answer.name, [answer.request], waits_while_loading=False
            )
            try:
                async with aclosing(_one_by_one(events)) as single:
                    async for event in single:
                        yield event
            except GatewayError as error:
                if running.stopwatch.started or not _is_transient(error, answer):
                    raise
                if self._loop.time() >= deadline:
                    raise
                waits_for_model = error.code is not ErrorCode.BUSY
                if not waits_for_model:
                    await self._report_status(running, Status.BUSY)
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS * (0.5 + random.random()))
            if waits_for_model:
                running.stopwatch.load_seconds += self._loop.time() - begun

    async def _report(self, running: _Running, event: Event, looking: asyncio.Task[None]) -> None:
        running.metrics.record_event(event)
        match event:
            case Started():
                looking.cancel()
                running.stopwatch.start(self._loop.time(), event)
                self._generating.add(running)
                models = len({one.answer.model.key for one in self._generating})
                for one in self._generating:
                    one.stopwatch.at_once = max(one.stopwatch.at_once, models)
                await self._queue.put(Generating(running.answer, event))
            case Text() | Thinking() | ToolCall():
                tokens = event.tokens if isinstance(event, Text | Thinking) else 0
                running.stopwatch.token(self._loop.time(), tokens)
                if isinstance(event, Text):
                    running.text.append(event.text)
                elif isinstance(event, Thinking):
                    running.thinking.append(event.text)
                else:
                    running.calls.append(event)
                await self._queue.put(Output(running.answer, event))

    async def _report_waiting(self, running: _Running) -> None:
        """Report what the answer waits for at each change, until it is cancelled."""
        model = running.answer.model
        while True:
            if model.state is not ModelState.READY:
                await self._report_status(running, Status(model.state), model.progress)
            elif running.status is None or running.status[0] is not Status.BUSY:
                await self._report_status(running, Status.QUEUED)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _report_status(
        self, running: _Running, status: Status, progress: float | None = None
    ) -> None:
        if running.status != (status, progress):
            running.status = (status, progress)
            await self._queue.put(StatusChanged(running.answer, status, progress))


async def _one_by_one(batches: AsyncGenerator[Sequence[Event]]) -> AsyncGenerator[Event]:
    """Yield the events of a stream; raise UpstreamError for Failed."""
    async with aclosing(batches):
        async for batch in batches:
            for event in batch:
                if isinstance(event, Failed):
                    raise UpstreamError(event.code, event.message)
                yield event


def _call_text(call: ToolCall) -> str:
    return json.dumps([call.name, call.arguments], ensure_ascii=False, sort_keys=True)


def _is_transient(error: GatewayError, answer: Answer) -> bool:
    return error.code in _TRANSIENT and answer.model.state is not ModelState.FAILED


def _to_gateway_error(raised: BaseException) -> GatewayError:
    if isinstance(raised, GatewayError):
        return raised
    _log.error("compare.answer_failed", exc_info=raised)
    return UpstreamError(ErrorCode.INTERNAL, INTERNAL_ERROR)


def _summary(plan: Plan, ended: list[Ended | FailedAnswer], seconds: float) -> AllEnded:
    complete = [end for end in ended if isinstance(end, Ended) and end.finished is not None]
    texts: dict[str, list[str]] = {answer.name: [] for answer in plan.answers}
    for end in sorted(complete, key=lambda end: end.answer.sample):
        if end.said.strip():
            texts[end.answer.name].append(end.said)
    failed = sum(isinstance(end, FailedAnswer) for end in ended)
    cancelled = len(ended) - failed - len(complete)
    return AllEnded(plan, len(complete), failed, cancelled, seconds, agree(texts))
