"""`echo` on POST /v1/completions, from the request to the last byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.fake_inference import events, fake_inference, finished, started
from gateway.harness import MODEL, running_gateway, until
from sizeup_wire.events import (
    Event,
    FinishReason,
    PromptToken,
    PromptTokens,
    Text,
    TokenLogprob,
    TopLogprob,
)
from sizeup_wire.generate import GenerateRequest, TextPrompt, TokenPrompt

LONG = 2000
"""Tokens of a prompt with a megabyte of events."""


def prompt_token(word: str, value: float | None, candidates: int) -> PromptToken:
    own = tuple(word.encode())
    top = TopLogprob(token=word, bytes=own, logprob=value or 0.0)
    return PromptToken(token=word, bytes=own, logprob=value, top=(top,) * candidates)


def words_of(request: GenerateRequest) -> list[str]:
    if isinstance(request.prompt, TokenPrompt):
        return [f"<{i}>" for i in request.prompt.token_ids]
    assert isinstance(request.prompt, TextPrompt)
    return [*request.prompt.text]


async def echoing(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Echo the prompt in events of 100 tokens, then generate "!" for each choice."""
    words = words_of(request)
    yield started(len(words))
    values = [None, *(-float(i) for i in range(1, len(words)))]
    for i in range(0, len(words) if request.echo else 0, 100):
        pairs = [*zip(words, values, strict=True)][i : i + 100]
        tokens = (
            []
            if request.logprobs is None
            else [prompt_token(w, v, request.logprobs) for w, v in pairs]
        )
        yield PromptTokens(text="".join(w for w, _ in pairs), tokens=tuple(tokens))
    for choice in range(request.n if request.max_tokens else 0):
        own = TokenLogprob(token="!", bytes=(33,), logprob=-0.5)
        yield Text(choice=choice, text="!", logprobs=() if request.logprobs is None else (own,))
    yield finished(request.n if request.max_tokens else 0, *[FinishReason.LENGTH] * request.n)


def ask(**fields: Any) -> list[dict[str, Any]]:
    """Return the choices; those of a stream joined, as a client does."""

    async def scenario() -> list[dict[str, Any]]:
        async with fake_inference(echoing) as fake, running_gateway(fake) as gateway:
            body = {"model": MODEL, "max_tokens": 1, "echo": True} | fields
            status, _, text = await gateway.post("/v1/completions", body)
            assert status == 200, text
            assert all(request.echo for request in fake.requests)
            return joined(text) if fields.get("stream") else json.loads(text)["choices"]

    return asyncio.run(scenario())


def joined(text: str) -> list[dict[str, Any]]:
    *parts, end = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert end == "[DONE]"
    choices: dict[int, dict[str, Any]] = {}
    for part in parts:
        (piece,) = json.loads(part)["choices"]
        whole = choices.setdefault(
            piece["index"], {"text": "", "index": piece["index"], "logprobs": None}
        )
        assert whole.get("finish_reason") is None
        whole["finish_reason"] = piece["finish_reason"]
        whole["text"] += piece["text"]
        if piece["logprobs"] is not None:
            whole["logprobs"] = whole["logprobs"] or {name: [] for name in piece["logprobs"]}
            for name, values in piece["logprobs"].items():
                whole["logprobs"][name] += values
    return [choices[i] for i in sorted(choices)]


STREAM = pytest.mark.parametrize("stream", [False, True])


@STREAM
def test_the_text_starts_with_the_prompt(stream: bool) -> None:
    (choice,) = ask(prompt="ab", stream=stream)
    assert choice == {"text": "ab!", "index": 0, "logprobs": None, "finish_reason": "length"}


@STREAM
def test_lm_evals_request_has_the_shape_that_it_slices(stream: bool) -> None:
    """`lm_eval/models/openai_completions.py` takes `[ctxlen:-1]` of both lists."""
    (choice,) = ask(
        prompt=[[5, 6, 7, 8]], max_tokens=1, logprobs=1, temperature=0, seed=1234, stream=stream
    )
    logprobs = choice["logprobs"]
    assert logprobs["tokens"] == ["<5>", "<6>", "<7>", "<8>", "!"]
    assert logprobs["token_logprobs"] == [None, -1.0, -2.0, -3.0, -0.5]
    assert logprobs["top_logprobs"] == [None, {"<6>": -1}, {"<7>": -2}, {"<8>": -3}, {"!": -0.5}]
    assert logprobs["text_offset"] == [0, 3, 6, 9, 12]
    assert logprobs["token_logprobs"][2:-1] == [-2.0, -3.0]


@STREAM
def test_each_choice_of_several_prompts_starts_with_its_prompt(stream: bool) -> None:
    choices = ask(prompt=["ab", "cde"], n=2, logprobs=0, stream=stream)
    assert [choice["text"] for choice in choices] == ["ab!", "ab!", "cde!", "cde!"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
    lists = [choice["logprobs"]["token_logprobs"] for choice in choices]
    assert lists == [[None, -1.0, -0.5]] * 2 + [[None, -1.0, -2.0, -0.5]] * 2


@STREAM
def test_a_prompt_is_scored_without_generation(stream: bool) -> None:
    (choice,) = ask(prompt="abc", max_tokens=0, logprobs=1, stream=stream)
    assert (choice["text"], choice["finish_reason"]) == ("abc", "length")
    assert choice["logprobs"]["token_logprobs"] == [None, -1.0, -2.0]


@STREAM
def test_a_long_prompt_is_complete(stream: bool) -> None:
    (choice,) = ask(prompt="x" * LONG, logprobs=5, stream=stream)
    assert choice["text"] == "x" * LONG + "!"
    assert len(choice["logprobs"]["token_logprobs"]) == LONG + 1
    assert choice["logprobs"]["text_offset"] == list(range(LONG + 1))


def test_the_first_token_deadline_applies_during_the_echo() -> None:
    """A long prefill may pause, for example when a preempted prompt is recomputed."""

    async def hanging(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield PromptTokens(text="a")
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with (
            fake_inference(hanging) as fake,
            running_gateway(fake, first_event_seconds=0.1) as gateway,
        ):
            body = {"model": MODEL, "prompt": "ab", "echo": True}
            status, _, text = await gateway.post("/v1/completions", body)
            await until(lambda: fake.live == 0)
        assert (status, json.loads(text)["error"]["code"]) == (504, "timeout")

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/v1/chat/completions"])
def test_no_other_route_requests_or_returns_an_echo(path: str, stream: bool) -> None:
    async def scenario() -> None:
        script = events(started(), PromptTokens(text="secret"), Text(text="x"), finished(1))
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": MODEL, "prompt": "hi", "messages": messages, "stream": stream}
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            status, _, text = await gateway.post(path, body | {"echo": True})
            assert status == 200
            assert "secret" not in text
            assert not fake.requests[0].echo

    asyncio.run(scenario())


def test_a_response_above_the_limit_is_rejected_unless_streamed() -> None:
    async def scenario() -> None:
        async with (
            fake_inference(echoing) as fake,
            running_gateway(fake, max_response_bytes=10 * LONG) as gateway,
        ):
            body = {"model": MODEL, "max_tokens": 1, "echo": True, "logprobs": 1}
            status, _, text = await gateway.post("/v1/completions", body | {"prompt": "x" * LONG})
            assert status == 400
            error = json.loads(text)["error"]
            assert error["type"] == "invalid_request_error"
            assert f"larger than {10 * LONG} bytes" in error["message"]
            streamed = body | {"prompt": "x" * LONG, "stream": True}
            _, _, text = await gateway.post("/v1/completions", streamed)
            (choice,) = joined(text)
            assert len(choice["logprobs"]["token_logprobs"]) == LONG + 1
            status, _, text = await gateway.post("/v1/completions", body | {"prompt": "ab"})
            assert status == 200, text

    asyncio.run(scenario())


def test_echoed_text_counts_towards_the_limit() -> None:
    async def scenario() -> None:
        async with (
            fake_inference(echoing) as fake,
            running_gateway(fake, max_response_bytes=LONG) as gateway,
        ):
            body = {"model": MODEL, "max_tokens": 0, "echo": True, "prompt": "x" * (LONG + 1)}
            status, _, _ = await gateway.post("/v1/completions", body)
            assert status == 400

    asyncio.run(scenario())
