import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from gateway.fake_inference import finished, started
from sizeup_gateway.errors import BusyError
from sizeup_gateway.routing.merge_streams import merge
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Finished, FinishReason, PromptTokens, Text


class Stream:
    """A stream that records whether it was closed."""

    def __init__(self, *events: Event | Exception, hangs: bool = False) -> None:
        self._events = events
        self._hangs = hangs
        self.closed = False

    async def __call__(self) -> AsyncGenerator[Sequence[Event]]:
        try:
            for event in self._events:
                if isinstance(event, Exception):
                    raise event
                yield [event]
            if self._hangs:
                await asyncio.Event().wait()
        finally:
            self.closed = True


def gather(*streams: Stream, n: int = 1) -> list[Event]:
    async def scenario() -> list[Event]:
        batches = merge([stream() for stream in streams], n)
        return [event async for batch in batches for event in batch]

    return asyncio.run(scenario())


def test_choices_are_renumbered_and_usage_is_summed() -> None:
    drafts = {"draft_tokens": 5, "accepted_draft_tokens": 2}
    ended = finished(3, *[FinishReason.STOP] * 2).model_copy(update=drafts)
    one = Stream(started(), Text(choice=1, text="a"), ended)
    two = Stream(started(), Text(choice=0, text="b"), finished(4, *[FinishReason.LENGTH] * 2))
    first, *middle, last = gather(one, two, n=2)
    assert first == started()
    assert {(e.choice, e.text) for e in middle if isinstance(e, Text)} == {(1, "a"), (2, "b")}
    assert isinstance(last, Finished)
    assert last.reasons == ("stop", "stop", "length", "length")
    assert (last.prompt_tokens, last.cached_tokens, last.completion_tokens) == (14, 4, 7)
    assert (last.draft_tokens, last.accepted_draft_tokens) == (5, 2)


def test_stop_strings_stay_with_their_choices_beside_a_replica_that_reports_none() -> None:
    ends = [FinishReason.STOP] * 2
    stopped = finished(3, *ends).model_copy(update={"stop_strings": ("#", None)})
    last = gather(Stream(started(), finished(3, *ends)), Stream(started(), stopped), n=2)[-1]
    assert isinstance(last, Finished)
    assert last.stop_strings == (None, None, "#", None)


def test_prompt_events_belong_to_the_first_choice() -> None:
    ends = [FinishReason.STOP] * 2
    one = Stream(started(), PromptTokens(text="a"), Text(choice=1, text="x"), finished(1, *ends))
    two = Stream(started(), PromptTokens(text="b"), finished(1, *ends))
    events = gather(one, two, n=2)
    prompts = {(e.choice, e.text) for e in events if isinstance(e, PromptTokens)}
    assert prompts == {(0, "a"), (2, "b")}
    assert Text(choice=1, text="x") in events


def test_the_first_failure_ends_the_merged_stream() -> None:
    failed = Failed(code=ErrorCode.INTERNAL, message="x")
    bad, endless = Stream(started(), failed), Stream(started(), hangs=True)
    events = gather(bad, endless)
    assert events == [started(), failed]
    assert bad.closed
    assert endless.closed


def test_an_exception_is_raised_and_closes_the_other_streams() -> None:
    refused, endless = Stream(BusyError()), Stream(started(), hangs=True)
    with pytest.raises(BusyError):
        gather(refused, endless)
    assert endless.closed


def test_a_rejection_after_the_first_event_of_another_stream_is_raised_before_any_event() -> None:
    async def scenario() -> None:
        accepted = [asyncio.Event(), asyncio.Event()]
        running = Stream(started(), Text(text="a"), hangs=True)

        async def rejected() -> AsyncGenerator[Sequence[Event]]:
            accepted[0].set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise BusyError
            yield

        merged = merge([running(), rejected()], 1, accepted)
        with pytest.raises(BusyError):
            await anext(merged)
        assert running.closed

    asyncio.run(scenario())


def test_a_queued_stream_that_is_accepted_does_not_delay_the_others() -> None:
    async def scenario() -> None:
        accepted = [asyncio.Event(), asyncio.Event()]
        for event in accepted:
            event.set()
        queued, running = Stream(hangs=True), Stream(started(), Text(text="a"), hangs=True)
        merged = merge([queued(), running()], 1, accepted)
        assert [await anext(merged), await anext(merged)] == [
            [started()],
            [Text(choice=1, text="a")],
        ]
        await merged.aclose()

    asyncio.run(scenario())


def test_closing_the_merged_stream_closes_every_stream() -> None:
    streams = [Stream(started(), Text(text="a"), hangs=True) for _ in range(3)]

    async def scenario() -> None:
        merged = merge([stream() for stream in streams], 1)
        await anext(merged)
        await anext(merged)
        await merged.aclose()

    asyncio.run(scenario())
    assert all(stream.closed for stream in streams)
