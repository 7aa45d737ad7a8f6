"""Send one segment of the plan: closed loop by workers, open loop by the clock.

Both send a bounded number of requests, stop sending at a deadline, and return when every request
that was sent has ended; each has a deadline of its own.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sizeup_loadtest.client.http import Request
from sizeup_loadtest.data.record import PlannedRequest, Record
from sizeup_loadtest.workload.prompts import Prompt
from sizeup_loadtest.workload.schedule import Segment

SAMPLES_PER_STAGE = 8
"""Answers of each stage that are kept to be shown."""

_SECOND_NS = 1_000_000_000


class Sender(Protocol):
    """What sends a request and returns what was seen of it."""

    async def send(self, request: Request) -> Record:
        """Never raise for what a server does."""


class Observer(Protocol):
    """What watches a run; called on the event loop, so it must be quick."""

    def began(self, segment: Segment) -> None:
        """A segment begins."""

    def sent(self, request: Request) -> None:
        """A request is about to be sent."""

    def ended(self, record: Record) -> None:
        """A request has ended."""


@dataclass(frozen=True, slots=True)
class Loader:
    """What sending a segment needs beside the segment."""

    sender: Sender
    observer: Observer
    clock: Callable[[], int]
    deadline_ns: int
    """Of the whole run: nothing is sent later."""
    keep_text: Callable[[PlannedRequest], bool]
    response_ns: int = 0
    """How long an undisturbed answer takes, as far as known."""


def is_sample(planned: PlannedRequest) -> bool:
    """Keep the first answers of natural length: a report shows them side by side."""
    return planned.length == "until_eos" and planned.block == 0 and planned.index < SAMPLES_PER_STAGE


async def run_segment(
    segment: Segment, prompts: Mapping[str, Prompt], loader: Loader
) -> list[Record]:
    """Send a segment's requests; return a record of each that was sent, as they ended.

    The request that wakes the model is observed, and not among them.
    """
    loader.observer.began(segment)
    if segment.preload is not None and segment.requests:
        await _Turn(segment, prompts, loader).preload(segment.preload)
    turn = _Turn(segment, prompts, loader)
    if segment.stage.mode == "open":
        await turn.open_loop()
    else:
        await turn.closed_loop()
    return turn.records


class _Turn:
    """One segment being sent."""

    def __init__(self, segment: Segment, prompts: Mapping[str, Prompt], loader: Loader) -> None:
        self.records: list[Record] = []
        self._segment = segment
        self._prompts = prompts
        self._loader = loader
        self._began = loader.clock()
        self._last = _last_moment(segment, self._began, loader.deadline_ns)

    async def preload(self, planned: PlannedRequest) -> None:
        """Send one request alone."""
        now = self._loader.clock()
        if now <= self._last:
            await self._send(planned, now)

    async def closed_loop(self) -> None:
        """Keep as many requests under way as the stage has workers, until none are left.

        Where requests at the edges are marked, workers begin one after the other, over the time of
        an answer: users who all asked at once would go on in step, and each prompt would wait for
        all others.
        """
        requests = self._segment.requests
        left, count = iter(requests), min(int(self._segment.stage.level), len(requests))
        ramp = self._loader.response_ns if any(r.ramp for r in requests) else 0
        async with asyncio.TaskGroup() as workers:
            for place in range(count):
                workers.create_task(self._worker(left, self._began + ramp * place // count))

    async def _worker(self, left: Iterator[PlannedRequest], begin_ns: int) -> None:
        await sleep_until(begin_ns, self._loader.clock)
        for planned in left:
            free = self._loader.clock()
            if free > self._last:
                return
            await self._send(planned, free)

    async def open_loop(self) -> None:
        """Send every request at its own time, whatever became of those before it."""
        async with asyncio.TaskGroup() as tasks:
            for planned in self._segment.requests:
                due = self._began + (planned.offset_ns or 0)
                if due > self._last:
                    return
                await sleep_until(due, self._loader.clock)
                tasks.create_task(self._send(planned, due))

    async def _send(self, planned: PlannedRequest, scheduled_ns: int) -> None:
        loader = self._loader
        request = Request(
            stage=self._segment.stage.key,
            planned=planned,
            prompt=self._prompts[planned.prompt],
            scheduled_ns=scheduled_ns,
            keep_text=loader.keep_text(planned),
        )
        loader.observer.sent(request)
        record = await loader.sender.send(request)
        self.records.append(record)
        loader.observer.ended(record)


async def sleep_until(due_ns: int, clock: Callable[[], int]) -> None:
    """Sleep until a moment of the run's clock; one that has passed only lets others run."""
    await asyncio.sleep(max(0, due_ns - clock()) / _SECOND_NS)


def keep_all(planned: PlannedRequest) -> bool:
    """Keep every answer's text."""
    return True


def _last_moment(segment: Segment, began_ns: int, deadline_ns: int) -> int:
    if segment.seconds is None:
        return deadline_ns
    return min(deadline_ns, began_ns + round(segment.seconds * _SECOND_NS))
