"""openai-python, asynchronous."""

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from clients import questions as q

TOOLS: Any = [{"type": "function", "function": {**q.TOOL["function"], "strict": True}}]


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert q.MODEL in [model.id async for model in client.models.list()]


async def test_chat(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model=q.MODEL, messages=q.asked(), temperature=0)
    assert reply.choices[0].message.content == q.ANSWER


async def test_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=q.MODEL, messages=q.asked(q.COUNT), temperature=0, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == q.COUNTED
    async with client.chat.completions.stream(
        model=q.MODEL, messages=q.asked(q.COUNT), temperature=0
    ) as helper:
        deltas = [event.delta async for event in helper if event.type == "content.delta"]
    assert "".join(deltas) == q.COUNTED
    assert len(deltas) > 1


async def test_system(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model=q.MODEL, messages=q.asked(q.SYSTEM_QUESTION, q.SYSTEM), temperature=0
    )
    assert reply.choices[0].message.content == q.SYSTEM_ANSWER


async def test_tools(client: openai.AsyncOpenAI) -> None:
    messages = q.asked(q.WEATHER_QUESTION)
    reply = await client.chat.completions.create(
        model=q.MODEL, messages=messages, tools=TOOLS, tool_choice=q.FORCED, temperature=0
    )
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    result = q.get_weather(**json.loads(call.function.arguments))
    messages += [
        reply.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    final = await client.chat.completions.create(
        model=q.MODEL, messages=messages, tools=TOOLS, temperature=0
    )
    assert final.choices[0].message.content == q.WEATHER_ANSWER


async def test_tool_stream(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model=q.MODEL,
        messages=q.asked(q.WEATHER_QUESTION),
        tools=TOOLS,
        tool_choice=q.FORCED,
        temperature=0,
    ) as stream:
        pieces = [
            event.arguments_delta
            async for event in stream
            if event.type == "tool_calls.function.arguments.delta"
        ]
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == json.loads("".join(pieces)) == q.ARGUMENTS
    assert len(pieces) > 1


async def test_schema(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.parse(
        model=q.MODEL, messages=q.asked(), response_format=Answer, temperature=0
    )
    assert isinstance(reply.choices[0].message.parsed, Answer)


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    reply = await client.embeddings.create(model=q.MODEL, input=[q.QUESTION, q.COUNT])
    assert [len(one.embedding) for one in reply.data] == [q.DIMENSIONS] * 2


async def test_logprobs(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model=q.MODEL, messages=q.asked(), temperature=0, logprobs=True, top_logprobs=2
    )
    assert reply.choices[0].logprobs is not None
    tokens = reply.choices[0].logprobs.content or []
    assert "".join(token.token for token in tokens) == q.ANSWER
    assert all(len(token.top_logprobs) == 2 for token in tokens)


async def test_n(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model=q.ENDLESS, messages=q.asked(), n=2, max_tokens=8
    )
    first, second = (choice.message.content for choice in reply.choices)
    assert first != second


async def test_stop(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model=q.MODEL, messages=q.asked(), temperature=0, stop=q.STOP
    )
    assert reply.choices[0].message.content == q.BEFORE_STOP


async def test_seed(client: openai.AsyncOpenAI) -> None:
    async def text(seed: int) -> str | None:
        reply = await client.chat.completions.create(
            model=q.ENDLESS, messages=q.asked(q.STORY), seed=seed, max_tokens=16
        )
        return reply.choices[0].message.content

    assert await text(1) == await text(1) != await text(2)


async def test_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=q.MODEL,
        messages=q.asked(),
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = [chunk.usage async for chunk in stream]
    assert last is not None
    assert last.completion_tokens > 0
    assert not any(chunks)


async def test_unknown_model(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model=q.UNKNOWN, messages=q.asked())
    assert raised.value.code == "model_not_found"


async def test_cancel(client: openai.AsyncOpenAI, url: str) -> None:
    async with q.one_cancelled(url):
        stream = await client.chat.completions.create(
            model=q.ENDLESS, messages=q.asked(), stream=True
        )
        await anext(stream)
        await stream.close()
