"""Sends one segment of the plan: a closed loop with users, or an open loop by the clock.

In both, a turn of a conversation follows the answer to the one before. Both send a bounded number
of requests, stop sending at a deadline, and return when every request sent has ended; each request
has its own deadline.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sizeup_loadtest.client.http import Request
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.execution.sending.clock import SECOND_NS, sleep_until
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, by_conversation

SAMPLES_PER_STAGE = 8
"""Outputs per stage that are kept for the report."""


class Sender(Protocol):
    """Sends a request; the HTTP client, or a fake."""

    async def send(self, request: Request) -> Record:
        """Never raises for a fault of the server."""


class Observer(Protocol):
    """Observes a run. Called on the event loop, so it must not block."""

    def sent(self, request: Request) -> None:
        """Called just before the request is sent."""

    def ended(self, record: Record) -> None: ...


@dataclass(frozen=True, slots=True)
class SendContext:
    """The dependencies of sending a segment."""

    sender: Sender
    observer: Observer
    clock: Callable[[], int]
    deadline_ns: int
    """Of the run: nothing is sent later."""
    keep_text: Callable[[PlannedRequest], bool]
    response_ns: int = 0
    """Latency of an undisturbed response, as far as known: the duration of a ramp-up."""
    stopped: Callable[[str], bool] = lambda model: False
    """Whether nothing more is sent to a model."""


def is_sample(planned: PlannedRequest) -> bool:
    """Whether a report shows the output: the first ones that end with EOS."""
    until_eos = planned.length == "until_eos"
    return until_eos and planned.block == 0 and planned.index < SAMPLES_PER_STAGE


def keep_all(planned: PlannedRequest) -> bool:
    """Keep the text of every output."""
    return True


async def preload(segment: Segment, prompts: Mapping[str, Prompt], context: SendContext) -> None:
    """Send the request that loads the model of a segment, where it has one."""
    if segment.preload is not None and context.clock() <= context.deadline_ns:
        run = _SegmentRun(segment, prompts, context, context.clock())
        await run.send(segment.preload, prompts[segment.preload.prompt], context.clock())


async def run_segment(
    segment: Segment,
    prompts: Mapping[str, Prompt],
    context: SendContext,
    began_ns: int | None = None,
) -> list[Record]:
    """Send the requests of a segment; return the records of those sent, in order of completion.

    Offsets count from `began_ns`, by default now.
    """
    began = context.clock() if began_ns is None else began_ns
    run = _SegmentRun(segment, prompts, context, began)
    if segment.stage.mode == "open":
        await run.open_loop()
    else:
        await run.closed_loop()
    return run.records


class _SegmentRun:
    def __init__(
        self,
        segment: Segment,
        prompts: Mapping[str, Prompt],
        context: SendContext,
        began_ns: int,
    ) -> None:
        self.records: list[Record] = []
        self._segment = segment
        self._prompts = prompts
        self._context = context
        self._began = began_ns
        self._deadline = _deadline(segment, self._began, context.deadline_ns)

    async def closed_loop(self) -> None:
        """Keep a fixed number of requests in flight until none are left.

        With a ramp, users start evenly over the latency of one response: users that start
        together stay in lockstep, and each prefill waits for all others.
        """
        requests = self._segment.requests
        conversations = by_conversation(requests)
        remaining = iter(conversations)
        count = min(int(self._segment.stage.level), len(conversations))
        ramp_ns = self._context.response_ns if any(r.ramp for r in requests) else 0
        async with asyncio.TaskGroup() as users:
            for i in range(count):
                users.create_task(self._user(remaining, self._began + ramp_ns * i // count))

    async def _user(self, remaining: Iterator[Sequence[PlannedRequest]], begin_ns: int) -> None:
        await sleep_until(begin_ns, self._context.clock)
        for turns in remaining:
            await self._converse(turns, self._context.clock())

    def _may_send(self, at_ns: int) -> bool:
        return at_ns <= self._deadline and not self._context.stopped(self._segment.model)

    async def open_loop(self) -> None:
        """Send every request at its scheduled time, whether or not earlier ones have ended."""
        async with asyncio.TaskGroup() as tasks:
            for turns in by_conversation(self._segment.requests):
                due = self._began + (turns[0].offset_ns or 0)
                await sleep_until(min(due, self._deadline), self._context.clock)
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
            await sleep_until(due_ns, self._context.clock)
            prompt = self._prompts[planned.prompt]
            prompt = replace(prompt, messages=(*history, *prompt.messages))
            record = await self.send(planned, prompt, due_ns)
            if record.outcome is not Outcome.OK:
                return
            history = (*prompt.messages, ChatMessage("assistant", record.text))
            due_ns = self._context.clock() + round(self._segment.think_seconds * SECOND_NS)

    async def send(self, planned: PlannedRequest, prompt: Prompt, scheduled_ns: int) -> Record:
        """Return the record of a request, with its text where it is a turn of a conversation."""
        context = self._context
        keep_text = context.keep_text(planned)
        request = Request(
            stage=self._segment.stage.key,
            planned=planned,
            prompt=prompt,
            scheduled_ns=scheduled_ns,
            keep_text=keep_text or planned.conversation is not None,
        )
        context.observer.sent(request)
        record = await context.sender.send(request)
        kept = record if keep_text else replace(record, text="")
        self.records.append(kept)
        context.observer.ended(kept)
        return record


def _deadline(segment: Segment, began_ns: int, deadline_ns: int) -> int:
    if segment.seconds is None:
        return deadline_ns
    return min(deadline_ns, began_ns + round(segment.seconds * SECOND_NS))
