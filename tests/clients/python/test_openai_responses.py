"""openai-python with the Responses API, stateless: the conversation is sent again."""

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from clients import questions as q

TOOLS: Any = [{"type": "function", "strict": True, **q.TOOL["function"]}]
FORCED: Any = {"type": "function", "name": q.TOOL["function"]["name"]}


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_chat(client: openai.AsyncOpenAI) -> None:
    reply = await client.responses.create(model=q.MODEL, input=q.QUESTION, temperature=0)
    assert reply.output_text == q.ANSWER
    assert reply.status == "completed"


async def test_stream(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model=q.MODEL, input=q.COUNT, temperature=0) as stream:
        pieces = [
            event.delta async for event in stream if event.type == "response.output_text.delta"
        ]
        final = await stream.get_final_response()
    assert "".join(pieces) == final.output_text == q.COUNTED
    assert len(pieces) > 2


async def test_system(client: openai.AsyncOpenAI) -> None:
    reply = await client.responses.create(
        model=q.MODEL, instructions=q.SYSTEM, input=q.SYSTEM_QUESTION, temperature=0
    )
    assert reply.output_text == q.SYSTEM_ANSWER


async def test_tools(client: openai.AsyncOpenAI) -> None:
    items = q.asked(q.WEATHER_QUESTION)
    reply = await client.responses.create(
        model=q.MODEL, input=items, tools=TOOLS, tool_choice=FORCED, temperature=0
    )
    (call,) = reply.output
    assert call.type == "function_call"
    result = q.get_weather(**json.loads(call.arguments))
    items += [call, {"type": "function_call_output", "call_id": call.call_id, "output": result}]
    final = await client.responses.create(model=q.MODEL, input=items, tools=TOOLS, temperature=0)
    assert final.output_text == q.WEATHER_ANSWER


async def test_tool_stream(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(
        model=q.MODEL,
        input=q.WEATHER_QUESTION,
        tools=TOOLS,
        tool_choice=FORCED,
        temperature=0,
    ) as stream:
        pieces = [
            event.delta
            async for event in stream
            if event.type == "response.function_call_arguments.delta"
        ]
        (call,) = (await stream.get_final_response()).output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == json.loads("".join(pieces)) == q.ARGUMENTS
    assert len(pieces) > 1


async def test_schema(client: openai.AsyncOpenAI) -> None:
    reply = await client.responses.parse(
        model=q.MODEL, input=q.QUESTION, text_format=Answer, temperature=0
    )
    assert isinstance(reply.output_parsed, Answer)


async def test_logprobs(client: openai.AsyncOpenAI) -> None:
    reply = await client.responses.create(
        model=q.MODEL,
        input=q.QUESTION,
        temperature=0,
        top_logprobs=2,
        include=["message.output_text.logprobs"],
    )
    (message,) = reply.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert "".join(token.token for token in part.logprobs or ()) == q.ANSWER


async def test_usage(client: openai.AsyncOpenAI) -> None:
    complete = await client.responses.create(model=q.MODEL, input=q.QUESTION, temperature=0)
    async with client.responses.stream(model=q.MODEL, input=q.QUESTION, temperature=0) as stream:
        final = await stream.get_final_response()
    assert final.usage is not None
    assert complete.usage is not None
    assert final.usage.total_tokens == complete.usage.total_tokens > 0


async def test_unknown_model(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.responses.create(model=q.UNKNOWN, input=q.QUESTION)
    assert raised.value.code == "model_not_found"


async def test_cancel(client: openai.AsyncOpenAI, url: str) -> None:
    async with q.one_cancelled(url):
        stream = await client.responses.create(model=q.ENDLESS, input=q.STORY, stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
