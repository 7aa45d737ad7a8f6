"""Sends one segment of the plan: a closed loop with users, or an open loop by the clock.

In both, a turn of a conversation follows the answer to the one before. Both send a bounded number
of requests, stop sending at a deadline, and return when every request sent has ended; each request
has its own deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sizeup_loadtest.client.http import Request
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.execution.sending.clock import SECOND_NS, sleep_until
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, by_conversation

SAMPLES_PER_STAGE = 8
"""Outputs per stage that are kept for the report."""


Send = Callable[[Request], Awaitable[Record]]
"""Never raises for a fault of the server."""


class Observer(Protocol):
    """Observes a run. Called on the event loop, so it must not block."""

    def sent(self, request: Request) -> None:
        """Called just before the request is sent."""

    def ended(self, record: Record) -> None: ...


@dataclass(frozen=True, slots=True)
class SendContext:
    """The dependencies of sending."""

    send: Send
    observer: Observer
    clock: Callable[[], int]
    stopped: Callable[[str], bool] = lambda model: False
    """Whether nothing more is sent to a model."""


@dataclass(frozen=True, slots=True)
class Share:
    """A segment, or the part of it that one process sends."""

    segment: Segment
    prompts: Mapping[str, Prompt]
    began_ns: int
    """From which offsets count."""
    deadline_ns: int
    """Of the run: nothing is sent later."""
    keep_text: Callable[[PlannedRequest], bool]
    """A function of a module, which can be pickled."""
    response_ns: int = 0
    """Latency of an undisturbed response, as far as known: the duration of a ramp-up."""

    @property
    def last_ns(self) -> int:
        """Time after which nothing is sent."""
        limit, seconds = self.deadline_ns, self.segment.seconds
        return limit if seconds is None else min(limit, self.began_ns + round(seconds * SECOND_NS))


def is_sample(planned: PlannedRequest) -> bool:
    """Whether a report shows the output: the first ones that end with EOS."""
    measured = planned.length == "until_eos" and not planned.warm_up
    return measured and planned.block == 0 and planned.index < SAMPLES_PER_STAGE


def keep_all(planned: PlannedRequest) -> bool:
    return True


async def preload(share: Share, context: SendContext) -> None:
    """Send the request that loads the model of a segment, where it has one."""
    planned = share.segment.preload
    if planned is not None and context.clock() <= share.deadline_ns:
        prompt = share.prompts[planned.prompt]
        await _SegmentRun(share, context).send(planned, prompt, context.clock())


async def run_segment(share: Share, context: SendContext) -> list[Record]:
    """Send the requests of a segment; return the records of those sent, in order of completion."""
    run = _SegmentRun(share, context)
    await (run.open_loop() if share.segment.stage.mode == "open" else run.closed_loop())
    return run.records


@dataclass(frozen=True, slots=True)
class _SegmentRun:
    share: Share
    context: SendContext
    records: list[Record] = field(default_factory=list)

    async def closed_loop(self) -> None:
        """Keep a fixed number of requests in flight until none are left.

        With a ramp, users start evenly over the latency of one response: users that start
        together stay in lockstep, and each prefill waits for all others.
        """
        requests = self.share.segment.requests
        conversations = by_conversation(requests)
        remaining = iter(conversations)
        count = min(int(self.share.segment.stage.level), len(conversations))
        ramp_ns = self.share.response_ns if any(r.ramp for r in requests) else 0
        async with asyncio.TaskGroup() as users:
            for i in range(count):
                users.create_task(self._user(remaining, self.share.began_ns + ramp_ns * i // count))

    async def _user(self, remaining: Iterator[Sequence[PlannedRequest]], begin_ns: int) -> None:
        await sleep_until(begin_ns, self.context.clock)
        for turns in remaining:
            await self._converse(turns, self.context.clock())

    def _may_send(self, at_ns: int) -> bool:
        return at_ns <= self.share.last_ns and not self.context.stopped(self.share.segment.model)

    async def open_loop(self) -> None:
        """Send every request at its scheduled time, whether or not earlier ones have ended."""
        async with asyncio.TaskGroup() as tasks:
            for turns in by_conversation(self.share.segment.requests):
                due = self.share.began_ns + (turns[0].offset_ns or 0)
                await sleep_until(min(due, self.share.last_ns), self.context.clock)
                if not self._may_send(due):
                    return
                tasks.create_task(self._converse(turns, due))

    async def _converse(self, turns: Sequence[PlannedRequest], due_ns: int) -> None:
        """Send turns one after the other, each with the answers to the earlier ones.

        A failed turn ends the conversation: there is no answer to go on from.
        """
        history: tuple[ChatMessage, ...] = ()
        for planned in turns:
            if not self._may_send(due_ns):
                return
            await sleep_until(due_ns, self.context.clock)
            prompt = self.share.prompts[planned.prompt]
            prompt = replace(prompt, messages=(*history, *prompt.messages))
            record = await self.send(planned, prompt, due_ns)
            if record.outcome is not Outcome.OK:
                return
            history = (*prompt.messages, ChatMessage("assistant", record.text))
            due_ns = self.context.clock() + round(self.share.segment.think_seconds * SECOND_NS)

    async def send(self, planned: PlannedRequest, prompt: Prompt, scheduled_ns: int) -> Record:
        """Return the record of a request, with its text where it is a turn of a conversation."""
        context = self.context
        keep_text = self.share.keep_text(planned)
        request = Request(
            stage=self.share.segment.stage.key,
            planned=planned,
            prompt=prompt,
            scheduled_ns=scheduled_ns,
            keep_text=keep_text or planned.conversation is not None,
        )
        context.observer.sent(request)
        record = await context.send(request)
        kept = record if keep_text else replace(record, text="")
        self.records.append(kept)
        context.observer.ended(kept)
        return record
