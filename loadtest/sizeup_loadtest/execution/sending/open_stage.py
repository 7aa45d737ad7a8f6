"""Runs an open stage until it is steady: its duration depends on the server (`open_loop`)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

from sizeup_loadtest.analysis.stages import open_loop
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.sending.clock import SECOND_NS, sleep_until
from sizeup_loadtest.workload import arrivals
from sizeup_loadtest.workload.schedule import Segment

Send = Callable[[Segment, int], Coroutine[None, None, None]]
"""Sends a segment whose offsets count from a time."""


async def run(
    segment: Segment,
    send: Send,
    done: Sequence[Record],
    clock: Callable[[], int],
    response_ns: int,
    lead_ns: int,
) -> None:
    """Send a stage part by part, each `lead_ns` before it is due; `done` grows meanwhile.

    After each part the stage ends when it was long enough, or cannot be within its limit.
    """
    limit = float("inf") if segment.seconds is None else segment.seconds
    shortest = limit if segment.shortest_seconds is None else segment.shortest_seconds
    began, sent = clock() + lead_ns, 0.0
    end = max(shortest, arrivals.duration(0, response_ns / SECOND_NS, limit))
    try:
        async with asyncio.TaskGroup() as tasks:
            while part := _between(segment, sent, end):
                tasks.create_task(send(part, began))
                if end >= limit:
                    return
                await sleep_until(began + round(end * SECOND_NS) - lead_ns, clock)
                counted = [record for record in done if not record.planned.warm_up]
                needed = open_loop.seconds_needed(counted, segment.stage.level) if counted else 0.0
                if needed <= end or needed > limit:
                    return
                sent, end = end, needed
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _between(segment: Segment, begin: float, end: float) -> Segment | None:
    """Return the part of a stage that is due in a time; None without any request."""
    requests = tuple(r for r in segment.requests if begin <= (r.offset_ns or 0) / SECOND_NS < end)
    return replace(segment, requests=requests) if requests else None
