"""Concurrent event streams -> one stream."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence

from sizeup_wire.events import Event, Failed, Finished, Started


async def merge(
    streams: Sequence[AsyncGenerator[Sequence[Event]]],
    n: int,
    accepted: Sequence[asyncio.Event] = (),
) -> AsyncGenerator[Sequence[Event]]:
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
                *_, last = events = task.result()
                if merged := list(_merged(events, i * n, started=started)):
                    started = True
                    yield merged
                if isinstance(last, Failed):
                    return
                if isinstance(last, Finished):
                    finished[i] = last
                else:
                    pending[asyncio.create_task(_step(streams[i]))] = i
        yield [_sum(finished)]
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def _merged(events: Sequence[Event], shift: int, *, started: bool) -> Iterator[Event]:
    """Yield the events of one stream that the merged stream has, under its choices."""
    for event in events:
        match event:
            case Started() if started:
                pass
            case Finished():
                pass
            case Started() | Failed():
                yield event
            case _:
                yield event.model_copy(update={"choice": event.choice + shift})


async def _until_accepted(
    first: Collection[asyncio.Task[Sequence[Event]]], accepted: Sequence[asyncio.Event]
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


async def _step(stream: AsyncGenerator[Sequence[Event]]) -> Sequence[Event]:
    return await anext(stream)


def _sum(finished: Mapping[int, Finished]) -> Finished:
    ends = [finished[i] for i in sorted(finished)]
    return Finished(
        reasons=tuple(reason for end in ends for reason in end.reasons),
        prompt_tokens=sum(end.prompt_tokens for end in ends),
        cached_tokens=sum(end.cached_tokens for end in ends),
        completion_tokens=sum(end.completion_tokens for end in ends),
        reasoning_tokens=sum(end.reasoning_tokens for end in ends),
        draft_tokens=sum(end.draft_tokens for end in ends),
        accepted_draft_tokens=sum(end.accepted_draft_tokens for end in ends),
        prompt_eval_ns=max(end.prompt_eval_ns for end in ends),
        eval_ns=max(end.eval_ns for end in ends),
        stop_strings=tuple(string for end in ends for string in _stop_strings(end)),
    )


def _stop_strings(end: Finished) -> tuple[str | None, ...]:
    """Return one per choice, also for a replica of a release that reports none."""
    return end.stop_strings or (None,) * len(end.reasons)
