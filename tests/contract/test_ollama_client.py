"""The official Ollama client, unmodified, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import ollama
import pytest

from gateway.fake_inference import (
    TOKENS,
    Script,
    events,
    fake_inference,
    finished,
    model_info,
    refusing,
    responding_with,
    started,
)
from gateway.harness import HUB_ID, MODEL, running_gateway
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Failed,
    Finished,
    FinishReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    TopLogprob,
)
from sizeup_wire.generate import AutoPrompt, ChatPrompt, GenerateRequest, InfillPrompt

MESSAGES = [{"role": "user", "content": "hi"}]
TEXT = "".join(TOKENS)

Scenario = Callable[[ollama.AsyncClient], Awaitable[None]]


def run(
    scenario: Scenario,
    script: Script | None = None,
    created_models: Path | None = None,
    **info: Any,
) -> list[GenerateRequest]:
    async def whole() -> list[GenerateRequest]:
        async with fake_inference(script, model_info(**info)) as fake:
            async with (
                running_gateway(fake, created_models=created_models) as gateway,
                ollama.AsyncClient(host=gateway.url) as client,
            ):
                await scenario(client)
            return fake.requests

    return asyncio.run(whole())


async def stream_of(chunks: AsyncIterator[Any]) -> list[Any]:
    return [part async for part in chunks]


def test_chat() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.chat(MODEL, MESSAGES)
        assert response.message.content == TEXT
        assert response.message.role == "assistant"
        assert (response.model, response.done, response.done_reason) == (MODEL, True, "stop")
        assert response.total_duration is not None
        assert response.total_duration > 0
        assert response.load_duration is not None
        assert 0 < response.load_duration < response.total_duration
        assert response.prompt_eval_count == 7
        assert (response.prompt_eval_duration, response.eval_count) == (342_546_000, len(TOKENS))
        assert response.eval_duration == 4_535_599_000

    run(scenario)


def test_a_streamed_chat_has_the_same_text() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        parts = await stream_of(await client.chat(MODEL, MESSAGES, stream=True))
        assert [part.message.content for part in parts] == [*TOKENS, ""]
        assert [part.done for part in parts] == [False] * len(TOKENS) + [True]
        assert parts[-1].eval_count == len(TOKENS)

    run(scenario)


def test_generate_continues_a_context() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.generate(MODEL, "hi", system="be kind")
        assert (response.response, response.done_reason) == (TEXT, "stop")
        assert response.context == [1, 2, 3]
        chunks = await client.generate(MODEL, "more", context=response.context, stream=True)
        parts = await stream_of(chunks)
        assert "".join(part.response for part in parts) == TEXT
        assert parts[-1].done is True

    first, second = run(scenario)
    assert first.prompt == AutoPrompt(text="hi", system="be kind")
    assert isinstance(second.prompt, AutoPrompt)
    assert second.prompt.prefix_token_ids == (1, 2, 3)


def test_raw_generate_skips_the_template_and_returns_no_context() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.generate(MODEL, "<|im_start|>", raw=True)
        assert response.context is None

    (request,) = run(scenario)
    assert request.prompt.model_dump() == {"kind": "text", "text": "<|im_start|>"}


def test_a_suffix_is_filled_up_to_by_models_with_insert() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        for prompt in ("a", ""):
            response = await client.generate(MODEL, prompt, suffix="b")
            assert (response.response, response.context) == (TEXT, None)

    async def refused(client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError, match="does not support insert") as error:
            await client.generate(MODEL, "a", suffix="b")
        assert error.value.status_code == 400

    first, second = run(scenario, capabilities=("completion", "insert"))
    assert first.prompt == InfillPrompt(prefix="a", suffix="b")
    assert second.prompt == InfillPrompt(prefix="", suffix="b")
    assert run(refused) == []


def test_a_last_message_of_the_assistant_is_continued() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        await client.chat(MODEL, [*MESSAGES, {"role": "assistant", "content": "Once upon"}])

    (request,) = run(scenario)
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.continue_final


def test_every_option_reaches_inference() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        options = ollama.Options(
            num_ctx=2048,
            num_predict=5,
            seed=42,
            temperature=0.5,
            top_k=7,
            top_p=0.6,
            repeat_last_n=33,
            repeat_penalty=1.2,
            presence_penalty=0.3,
            frequency_penalty=0.4,
            stop=["a", "b"],
        )
        await client.chat(MODEL, MESSAGES, options=options, logprobs=True, top_logprobs=3)

    (request,) = run(scenario)
    assert request.model_dump(
        exclude={"prompt", "fallback", "sampling", "client"}, exclude_defaults=True
    ) == {
        "max_tokens": 5,
        "stop": ("a", "b"),
        "seed": 42,
        "logprobs": 3,
        "max_context": 2048,
        "truncate": True,
    }
    assert request.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.5,
        "top_k": 7,
        "top_p": 0.6,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "repeat_last_n": 33,
    }
    assert request.fallback.model_dump(exclude_none=True) == {
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.9,
        "repeat_last_n": 64,
    }


def weather(city: str) -> str:
    """Get the weather.

    Args:
        city: where
    """
    return city


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_is_sent_back(stream: bool) -> None:
    call = ToolCall(index=0, id="call_1", name="weather", arguments={"city": "北京"})
    script = events(started(), call, finished(5, FinishReason.TOOL_CALLS))

    async def scenario(client: ollama.AsyncClient) -> None:
        if stream:
            chunks = await client.chat(MODEL, MESSAGES, tools=[weather], stream=True)
            parts = await stream_of(chunks)
            (message,) = [part.message for part in parts if part.message.tool_calls]
            assert parts[-1].done_reason == "stop"
        else:
            message = (await client.chat(MODEL, MESSAGES, tools=[weather])).message
        assert message.tool_calls is not None
        (called,) = message.tool_calls
        assert called.function.name == "weather"
        assert called.function.arguments == {"city": "北京"}
        result = {"role": "tool", "content": "sunny", "tool_name": "weather"}
        await client.chat(MODEL, [*MESSAGES, message, result], tools=[weather])

    first, second = run(scenario, script)
    assert isinstance(first.prompt, ChatPrompt)
    (tool,) = first.prompt.tools
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"]["properties"]["city"]["type"] == "string"
    assert isinstance(second.prompt, ChatPrompt)
    call_turn, result_turn = second.prompt.messages[1:]
    assert call_turn.tool_calls[0].arguments == {"city": "北京"}
    assert (result_turn.role, result_turn.name, result_turn.content) == ("tool", "weather", "sunny")


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_separate_from_the_content(stream: bool) -> None:
    script = events(started(), Thinking(text="hm"), Text(text="yes"), finished(2))

    async def scenario(client: ollama.AsyncClient) -> None:
        if stream:
            parts = await stream_of(await client.chat(MODEL, MESSAGES, think=True, stream=True))
            assert [p.message.thinking for p in parts if p.message.thinking] == ["hm"]
            assert "".join(p.message.content or "" for p in parts) == "yes"
        else:
            message = (await client.chat(MODEL, MESSAGES, think="high")).message
            assert (message.thinking, message.content) == ("hm", "yes")

    (request,) = run(scenario, script, capabilities=("completion", "thinking"))
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.thinking == "on"


def test_logprobs_have_the_bytes_of_their_tokens() -> None:
    top = TopLogprob(token="ok", bytes=tuple(b"ok"), logprob=-0.2)
    token = TokenLogprob(token="好", bytes=tuple("好".encode()), logprob=-0.1, top=(top,))
    script = events(started(), Text(text="好", logprobs=(token,)), finished(1))

    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.chat(MODEL, MESSAGES, logprobs=True, top_logprobs=1)
        assert response.logprobs is not None
        (token,) = response.logprobs
        assert (token.token, token.logprob) == ("好", -0.1)
        assert token.top_logprobs is not None
        assert token.top_logprobs[0].token == "ok"

    run(scenario, script)


def test_length_is_the_done_reason() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.chat(MODEL, MESSAGES, options={"num_predict": 1})
        assert (response.done_reason, response.eval_count) == ("length", 1)

    run(scenario, responding_with("x", reason=FinishReason.LENGTH))


def test_errors_are_raised_with_their_text_and_status() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError, match="model 'unknown' not found") as unknown:
            await client.chat("unknown", MESSAGES)
        assert unknown.value.status_code == 404
        with pytest.raises(ollama.ResponseError, match="server busy") as busy:
            await client.chat(MODEL, MESSAGES)
        assert busy.value.status_code == 503

    run(scenario, refusing(ErrorCode.BUSY, 503))


def test_an_input_too_long_has_ollamas_text() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError) as error:
            await client.chat(MODEL, MESSAGES)
        assert error.value.error == "the input length exceeds the context length"
        assert error.value.status_code == 400

    run(scenario, refusing(ErrorCode.CONTEXT_LENGTH_EXCEEDED, 400, param="prompt"))


@pytest.mark.parametrize(
    "broken",
    [
        events(started(), Text(text="one")),
        events(started(), Text(text="one"), Failed(code=ErrorCode.INTERNAL, message="broken")),
    ],
)
def test_an_interrupted_stream_raises(broken: Script) -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        texts: list[str | None] = []
        with pytest.raises(ollama.ResponseError):  # noqa: PT012 - raised while reading
            async for part in await client.chat(MODEL, MESSAGES, stream=True):
                texts.append(part.message.content)
        assert texts == ["one"]

    run(scenario, broken)


def test_the_hub_id_is_a_name_and_is_repeated() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        assert (await client.chat(HUB_ID, MESSAGES)).model == HUB_ID

    run(scenario)


def test_the_synchronous_client_works_too() -> None:
    async def whole() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:

            def ask() -> str:
                with ollama.Client(host=gateway.url) as client:
                    chunks = client.chat(MODEL, MESSAGES, stream=True)
                    return "".join(part.message.content or "" for part in chunks)

            assert await asyncio.to_thread(ask) == TEXT

    asyncio.run(whole())


def test_a_generation_without_tokens_is_empty() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        response = await client.chat(MODEL, MESSAGES)
        assert (response.message.content, response.eval_count) == ("", 0)

    end: Finished = finished(0)
    run(scenario, events(started(), end))
