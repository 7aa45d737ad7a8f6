"""The official OpenAI client, unmodified, over real sockets."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from contract.openai_session import MESSAGES, TEXT, TOOLS, run
from gateway.fake_inference import (
    TOKENS,
    events,
    finished,
    responding_with,
    started,
)
from gateway.harness import MODEL
from sizeup_wire.events import (
    FinishReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    TopLogprob,
)
from sizeup_wire.generate import ChatPrompt, ThinkingMode


def test_a_chat_completion() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert completion.id.startswith("chatcmpl-")
        assert (completion.object, completion.model) == ("chat.completion", MODEL)
        (choice,) = completion.choices
        assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
        assert (choice.message.role, choice.message.content) == ("assistant", TEXT)
        assert choice.message.refusal is None
        assert completion.usage is not None
        assert completion.usage.prompt_tokens == 7
        assert completion.usage.completion_tokens == len(TOKENS)
        assert completion.usage.total_tokens == 7 + len(TOKENS)
        assert completion.usage.prompt_tokens_details is not None
        assert completion.usage.prompt_tokens_details.cached_tokens == 2

    run(scenario)


def test_a_streamed_chat_completion_has_the_role_once_and_the_usage_last() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks: list[ChatCompletionChunk] = [chunk async for chunk in stream]
        first, *middle, last, usage = chunks
        assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
        assert [chunk.choices[0].delta.content for chunk in middle] == list(TOKENS)
        assert {chunk.choices[0].delta.role for chunk in middle} == {None}
        assert (last.choices[0].finish_reason, last.choices[0].delta.content) == ("stop", None)
        assert usage.choices == []
        assert usage.usage is not None
        assert usage.usage.completion_tokens == len(TOKENS)
        assert {chunk.usage for chunk in chunks[:-1]} == {None}
        assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1

    run(scenario)


def test_the_stream_helper_builds_the_same_completion() -> None:
    call = ToolCall(index=0, id="call_1", name="weather", arguments={"city": "北京"})
    script = events(started(), Text(text="look"), call, finished(5, FinishReason.TOOL_CALLS))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        async with client.chat.completions.stream(
            model=MODEL, messages=MESSAGES, tools=TOOLS
        ) as stream:
            completion = await stream.get_final_completion()
        (choice,) = completion.choices
        assert (choice.finish_reason, choice.message.role) == ("tool_calls", "assistant")
        assert choice.message.content == "look"
        assert choice.message.tool_calls is not None
        (called,) = choice.message.tool_calls
        assert (called.id, called.function.name) == ("call_1", "weather")
        assert called.function.arguments == '{"city": "北京"}'

    run(scenario, script)


def test_a_tool_is_called_and_its_result_is_sent_back() -> None:
    call = ToolCall(index=0, id="call_1", name="weather", arguments={"city": "北京"})
    script = events(started(), call, finished(5, FinishReason.TOOL_CALLS))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, tools=TOOLS, tool_choice="auto"
        )
        message = completion.choices[0].message
        assert (message.content, completion.choices[0].finish_reason) == (None, "tool_calls")
        assert message.tool_calls is not None
        assert message.tool_calls[0].id == "call_1"
        turns: Any = [
            *MESSAGES,
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ]
        await client.chat.completions.create(model=MODEL, messages=turns, tools=TOOLS)
        await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, tools=TOOLS, tool_choice="none"
        )

    first, second, third = run(scenario, script)
    assert isinstance(first.prompt, ChatPrompt)
    assert list(first.prompt.tools) == TOOLS
    assert isinstance(second.prompt, ChatPrompt)
    call_turn, result_turn = second.prompt.messages[1:]
    assert call_turn.tool_calls[0].arguments == {"city": "北京"}
    assert (result_turn.role, result_turn.name, result_turn.content) == ("tool", "weather", "sunny")
    assert isinstance(third.prompt, ChatPrompt)
    assert third.prompt.tools == ()


@pytest.mark.parametrize("stream", [False, True])
def test_choices_are_kept_apart(stream: bool) -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        texts = ["", ""]
        ends: list[str | None] = []
        if stream:
            async for chunk in await client.chat.completions.create(
                model=MODEL, messages=MESSAGES, n=2, stream=True
            ):
                (choice,) = chunk.choices
                texts[choice.index] += choice.delta.content or ""
                ends += [choice.finish_reason] if choice.finish_reason else []
        else:
            completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)
            for whole in completion.choices:
                texts[whole.index] = whole.message.content or ""
                ends.append(whole.finish_reason)
        assert texts == [TEXT, TEXT]
        assert ends == ["stop", "stop"]

    run(scenario)


def test_every_parameter_reaches_inference() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        await client.chat.completions.create(
            model=MODEL,
            messages=[
                {"role": "developer", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "so"},
            ],
            temperature=0.5,
            top_p=0.6,
            presence_penalty=0.3,
            frequency_penalty=-0.4,
            logit_bias={"5": -100},
            seed=42,
            max_tokens=9,
            max_completion_tokens=5,
            stop="a",
            n=2,
            logprobs=True,
            top_logprobs=3,
            user="user-1",
            extra_body={
                "top_k": 7,
                "min_p": 0.1,
                "repetition_penalty": 1.2,
                "min_tokens": 2,
                "stop_token_ids": [3],
                "ignore_eos": True,
                "options": {"num_ctx": 2048},
                "chat_template_kwargs": {"enable_thinking": False},
                "continue_final_message": True,
            },
        )

    script = responding_with("x")
    (request,) = run(scenario, script, capabilities=("completion", "thinking"))
    assert request.model_dump(
        exclude={"prompt", "fallback", "sampling", "client"}, exclude_defaults=True
    ) == {
        "max_tokens": 5,
        "min_tokens": 2,
        "stop": ("a",),
        "stop_token_ids": (3,),
        "ignore_eos": True,
        "seed": 42,
        "n": 2,
        "logprobs": 3,
        "max_context": 2048,
    }
    assert request.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.5,
        "top_k": 7,
        "top_p": 0.6,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.3,
        "frequency_penalty": -0.4,
        "logit_bias": {5: -100.0},
    }
    assert request.fallback.model_dump(exclude_none=True) == {"temperature": 1.0, "top_p": 1.0}
    assert isinstance(request.prompt, ChatPrompt)
    assert [m.role for m in request.prompt.messages] == ["system", "user", "assistant"]
    assert (request.prompt.thinking, request.prompt.continue_final) == ("off", True)


@pytest.mark.parametrize(
    ("extra", "thinks"),
    [
        ({}, None),
        ({"reasoning_effort": "none"}, "off"),
        ({"reasoning_effort": "minimal"}, "if_supported"),
        ({"reasoning_effort": "xhigh"}, "if_supported"),
        ({"think": False}, "off"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "if_supported"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_requested_in_three_ways_and_returned_under_two_names(
    extra: dict[str, Any], thinks: ThinkingMode | None, stream: bool
) -> None:
    script = events(started(), Thinking(text="hm"), Text(text="yes"), finished(2))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion: Any = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=stream, extra_body=extra
        )
        if stream:
            deltas = [chunk.choices[0].delta async for chunk in completion]
            thought = [d.reasoning for d in deltas if hasattr(d, "reasoning")]
            assert thought == [d.reasoning_content for d in deltas if hasattr(d, "reasoning")]
            assert thought == ["hm"]
        else:
            message = completion.choices[0].message
            assert (message.reasoning, message.reasoning_content) == ("hm", "hm")
            assert message.content == "yes"

    (request,) = run(scenario, script, capabilities=("completion", "thinking"))
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.thinking == thinks


@pytest.mark.parametrize(
    "extra", [{"include_reasoning": False}, {"reasoning": {"effort": "high", "exclude": True}}]
)
def test_reasoning_can_be_left_out(extra: dict[str, Any]) -> None:
    script = events(started(), Thinking(text="hm"), Text(text="yes"), finished(2))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        create = client.chat.completions.create
        whole = await create(model=MODEL, messages=MESSAGES, extra_body=extra)
        assert whole.choices[0].message.content == "yes"
        assert not hasattr(whole.choices[0].message, "reasoning")
        stream = await create(model=MODEL, messages=MESSAGES, stream=True, extra_body=extra)
        deltas = [chunk.choices[0].delta async for chunk in stream]
        assert "".join(delta.content or "" for delta in deltas) == "yes"
        assert not any(hasattr(delta, "reasoning") for delta in deltas)

    run(scenario, script)


def test_logprobs_of_a_chat() -> None:
    top = TopLogprob(token="ok", bytes=tuple(b"ok"), logprob=-0.2)
    token = TokenLogprob(token="好", bytes=tuple("好".encode()), logprob=-0.1, top=(top,))
    script = events(started(), Text(text="好", logprobs=(token,)), finished(1))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, logprobs=True, top_logprobs=1
        )
        logprobs = completion.choices[0].logprobs
        assert logprobs is not None
        assert logprobs.content is not None
        (token,) = logprobs.content
        assert "".join(t.token for t in logprobs.content) == completion.choices[0].message.content
        assert (token.logprob, token.bytes) == (-0.1, list("好".encode()))
        assert [t.token for t in token.top_logprobs] == ["ok"]

    run(scenario, script)
