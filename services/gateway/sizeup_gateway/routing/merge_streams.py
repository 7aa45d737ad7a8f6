"""Concurrent event streams -> one stream."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

from sizeup_wire.events import Event, Failed, Finished, Started


async def merge(
    streams: Sequence[AsyncGenerator[Event]], n: int, accepted: Sequence[asyncio.Event] = ()
) -> AsyncGenerator[Event]:
    """Merge streams of `n` choices each.

    Choice j of stream i becomes choice i * n + j. There is one Started (the first) and one
    terminal event: the sum of all, or the first failure. Raises what any of the streams raises,
    before the first event if inference rejects a request: `accepted` is set for each that it
    accepts.
    """
    pending = {asyncio.create_task(_step(stream)): i for i, stream in enumerate(streams)}
    finished: dict[int, Finished] = {}
    started = False
    try:
        await _until_accepted(pending.keys(), accepted)
        while pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                i = pending.pop(task)
                event = task.result()
                if isinstance(event, Failed):
                    yield event
                    return
                if isinstance(event, Finished):
                    finished[i] = event
                    continue
                if not isinstance(event, Started):
                    yield _shift(event, i * n)
                elif not started:
                    started = True
                    yield event
                pending[asyncio.create_task(_step(streams[i]))] = i
        yield _sum(finished)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def _until_accepted(
    first: Collection[asyncio.Task[Event]], accepted: Sequence[asyncio.Event]
) -> None:
    """Wait until every stream is accepted or has its first event; raise what any of them raises."""
    failed = asyncio.create_task(asyncio.wait(first, return_when=asyncio.FIRST_EXCEPTION))
    waiting = asyncio.create_task(_all_set(accepted)) if accepted else failed
    try:
        await asyncio.wait({failed, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        failed.cancel()
        waiting.cancel()
    for task in first:
        if task.done():
            task.result()


async def _all_set(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _step(stream: AsyncGenerator[Event]) -> Event:
    return await anext(stream)


def _shift(event: Event, by: int) -> Event:
    if isinstance(event, Started | Failed | Finished):
        return event
    return event.model_copy(update={"choice": event.choice + by})


def _sum(finished: Mapping[int, Finished]) -> Finished:
    ends = [finished[i] for i in sorted(finished)]
    return Finished(
        reasons=tuple(reason for end in ends for reason in end.reasons),
        prompt_tokens=sum(end.prompt_tokens for end in ends),
        cached_tokens=sum(end.cached_tokens for end in ends),
        completion_tokens=sum(end.completion_tokens for end in ends),
        reasoning_tokens=sum(end.reasoning_tokens for end in ends),
        prompt_eval_ns=max(end.prompt_eval_ns for end in ends),
        eval_ns=max(end.eval_ns for end in ends),
        stop_strings=tuple(string for end in ends for string in _stop_strings(end)),
    )


def _stop_strings(end: Finished) -> tuple[str | None, ...]:
    """Return one per choice, also for a replica of a release that reports none."""
    return end.stop_strings or (None,) * len(end.reasons)
