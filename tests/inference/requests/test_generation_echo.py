"""A request with `echo` through a scripted engine."""

import asyncio
from typing import Any

import pytest

from inference.scripted import finished, request, run, scene, text_of, token_events
from sizeup_inference.engine.protocol import (
    Admitted,
    EngineEvent,
    Finish,
    Logprobs,
    PromptLogprobs,
    Token,
)
from sizeup_inference.fake.model import IM_END, IM_START
from sizeup_inference.requests.generation import accept, prepare
from sizeup_inference.requests.logprobs import TOKENS_PER_EVENT
from sizeup_wire.events import Event, Finished, FinishReason, PromptTokens, Started, Text


def prompt_of(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, PromptTokens))


def prompt_logprobs(request_id: str, start: int, *values: float) -> EngineEvent:
    return PromptLogprobs(request_id, start, tuple(map(Logprobs, values)), 950)


def test_echo_without_logprobs_needs_no_prompt_logprobs() -> None:
    events, stage = run(request("hi 你", echo=True), b"abc", end=Finish.STOP)
    assert [e.event for e in events[:3]] == ["started", "prompt", "text"]
    assert (prompt_of(events), text_of(events)) == ("hi 你", "abc")
    assert stage.engine.submitted[0].prompt_logprobs is None
    assert finished(events).completion_tokens == 4


def test_without_echo_there_is_no_prompt() -> None:
    events, stage = run(request("hi", logprobs=2), b"abc", end=Finish.STOP)
    assert prompt_of(events) == ""
    assert stage.engine.submitted[0].prompt_logprobs is None


async def _run_echo(fields: dict[str, Any], prompt: str, *pieces: list[float]) -> list[Event]:
    async with scene() as stage:
        prepared = await prepare(stage.model, request(prompt, **fields))
        with accept(stage.model, prepared) as generation:
            (submitted,) = stage.engine.submitted
            assert submitted.prompt_logprobs == fields["logprobs"]
            assert submitted.max_tokens >= 1
            stage.deliver(Admitted(submitted.id, 900))
            start = 1
            for piece in pieces:
                stage.deliver(prompt_logprobs(submitted.id, start, *piece))
                start += len(piece)
            for choice in range(submitted.choices):
                stage.deliver(*token_events(submitted.id, b"x", choice=choice, end=Finish.LENGTH))
            events = await stage.all_events(generation)
        assert stage.engine.cancelled == []
        assert stage.outcome("ok") == 1
        return events


def run_echo(fields: dict[str, Any], prompt: str, *pieces: list[float]) -> list[Event]:
    return asyncio.run(_run_echo({"echo": True} | fields, prompt, *pieces))


def logprobs_of(events: list[Event]) -> list[float | None]:
    return [t.logprob for e in events if isinstance(e, PromptTokens) for t in e.tokens]


def test_each_token_has_a_logprob_except_the_first() -> None:
    events = run_echo({"logprobs": 0, "max_tokens": 1}, "abcd", [-1.0, -2.0], [-3.0])
    assert logprobs_of(events) == [None, -1.0, -2.0, -3.0]
    assert (prompt_of(events), text_of(events)) == ("abcd", "x")
    kinds = [type(event) for event in events]
    assert kinds == [Started, PromptTokens, PromptTokens, PromptTokens, Text, Finished]


def test_the_choices_share_one_prompt() -> None:
    events = run_echo({"logprobs": 1, "max_tokens": 1, "n": 3}, "ab", [-1.0])
    assert logprobs_of(events) == [None, -1.0]
    assert [text_of(events, choice) for choice in range(3)] == ["x"] * 3
    assert finished(events).reasons == (FinishReason.LENGTH,) * 3


@pytest.mark.parametrize("n", [1, 3])
def test_max_tokens_zero_echoes_the_prompt_only(n: int) -> None:
    events = run_echo({"logprobs": 1, "max_tokens": 0, "n": n}, "abc", [-1.0, -2.0])
    assert logprobs_of(events) == [None, -1.0, -2.0]
    assert not any(isinstance(event, Text) for event in events)
    end = finished(events)
    assert (end.reasons, end.completion_tokens) == ((FinishReason.LENGTH,) * n, 0)
    assert (end.prompt_eval_ns, end.eval_ns) == (100, 0)


def test_max_tokens_zero_without_logprobs_needs_no_engine() -> None:
    async def scenario() -> list[Event]:
        async with scene() as stage:
            prepared = await prepare(stage.model, request("hello", max_tokens=0, echo=True, n=2))
            with accept(stage.model, prepared) as generation:
                events = await stage.all_events(generation)
            assert stage.engine.submitted == []
            assert stage.engine.cancelled == []
            return events

    events = asyncio.run(scenario())
    assert [type(event) for event in events] == [Started, PromptTokens, Finished]
    assert prompt_of(events) == "hello"
    assert finished(events).reasons == (FinishReason.LENGTH,) * 2


@pytest.mark.parametrize(
    ("token_ids", "text"),
    [
        ((IM_END,), ""),
        ((IM_START,), ""),
        ((*b"ab", IM_END), "ab"),
        ((*b"a", IM_START), "a"),
        ((*b"a", 0xC3), "a�"),
    ],
)
@pytest.mark.parametrize("echo", [True, False])
def test_with_echo_every_output_token_has_a_logprob(
    token_ids: tuple[int, ...], text: str, echo: bool
) -> None:
    """lm-eval drops the last entry: without EOS it would drop the continuation's."""

    async def scenario() -> list[Event]:
        async with scene() as stage:
            prepared = await prepare(stage.model, request("p", echo=echo, logprobs=0))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                stage.deliver(Admitted(request_id, 0))
                for i, token_id in enumerate(token_ids):
                    end = Finish.STOP if token_id == IM_END else Finish.LENGTH
                    last = i == len(token_ids) - 1
                    logprobs = Logprobs(-float(i))
                    stage.deliver(
                        Token(request_id, 0, token_id, i, end if last else None, logprobs)
                    )
                return await stage.all_events(generation)

    events = asyncio.run(scenario())
    assert text_of(events) == text
    values = [t.logprob for e in events if isinstance(e, Text) for t in e.logprobs]
    count = len(token_ids) if echo else len(text)
    assert values == [-float(i) for i in range(count)]


@pytest.mark.parametrize("echo", [True, False])
def test_logprobs_of_a_stop_string_are_dropped(echo: bool) -> None:
    async def scenario() -> list[Event]:
        async with scene() as stage:
            wire_request = request("p", echo=echo, logprobs=0, stop=("STOP",))
            prepared = await prepare(stage.model, wire_request)
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                stage.deliver(Admitted(request_id, 0))
                for i, token_id in enumerate(b"abSTOP"):
                    logprobs = Logprobs(-float(i))
                    stage.deliver(Token(request_id, 0, token_id, i, None, logprobs))
                return await stage.all_events(generation)

    events = asyncio.run(scenario())
    assert text_of(events) == "ab"
    assert [t.logprob for e in events if isinstance(e, Text) for t in e.logprobs] == [0.0, -1.0]


def test_a_long_prompt_is_sent_in_pieces() -> None:
    """Each piece in a separate turn of the event loop, without empty text between."""

    async def scenario() -> None:
        async with scene() as stage:
            long = "a" * (3 * TOKENS_PER_EVENT + 1)
            prepared = await prepare(stage.model, request(long, echo=True, logprobs=0))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                stage.deliver(
                    Admitted(request_id, 0),
                    prompt_logprobs(request_id, 1, *[-1.0] * (len(long) - 1)),
                )
                stage.deliver(*token_events(request_id, b"x", end=Finish.LENGTH))
                batches = [batch async for batch in generation.events()]
        counts = [[len(e.tokens) for e in b if isinstance(e, PromptTokens)] for b in batches]
        assert counts[:4] == [[1], *[[TOKENS_PER_EVENT]] * 3]
        kinds = [type(event) for batch in batches for event in batch]
        assert kinds == [Started, *[PromptTokens] * 4, Text, Finished]

    asyncio.run(scenario())
