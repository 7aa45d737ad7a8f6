"""anthropic-python."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from clients import questions as q

LIMIT = 200
"""Every request has to name one."""
GREEDY: Any = {"extra_body": {"temperature": 0}}
"""The client has no such parameter."""
FUNCTION = q.TOOL["function"]
TOOLS: Any = [
    {
        "name": FUNCTION["name"],
        "description": FUNCTION["description"],
        "input_schema": FUNCTION["parameters"],
    }
]
FORCED: Any = {"type": "tool", "name": FUNCTION["name"]}


@pytest.fixture
def client(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def text(reply: Any) -> str:
    return "".join(block.text for block in reply.content if block.type == "text")


def test_models(client: anthropic.Anthropic) -> None:
    assert q.MODEL in [model.id for model in client.models.list()]


def test_chat(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model=q.MODEL, max_tokens=LIMIT, messages=q.asked(), **GREEDY)
    assert (text(reply), reply.stop_reason) == (q.ANSWER, "end_turn")
    counted = client.messages.count_tokens(model=q.MODEL, messages=q.asked())
    cached = reply.usage.cache_read_input_tokens or 0
    assert counted.input_tokens == reply.usage.input_tokens + cached


async def test_stream(client: anthropic.Anthropic, url: str) -> None:
    body: Any = {
        "model": q.MODEL,
        "max_tokens": LIMIT,
        "messages": q.asked(q.COUNT),
        **GREEDY,
    }
    with client.messages.stream(**body) as stream:
        pieces = list(stream.text_stream)
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="none") as asynchronous,
        asynchronous.messages.stream(**body) as other,
    ):
        assert await other.get_final_text() == q.COUNTED


def test_system(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(
        model=q.MODEL,
        max_tokens=LIMIT,
        system=q.SYSTEM,
        messages=q.asked(q.SYSTEM_QUESTION),
        **GREEDY,
    )
    assert text(reply) == q.SYSTEM_ANSWER


def test_tools(client: anthropic.Anthropic) -> None:
    messages = q.asked(q.WEATHER_QUESTION)
    body: Any = {"model": q.MODEL, "max_tokens": LIMIT, "tools": TOOLS, **GREEDY}
    reply = client.messages.create(**body, messages=messages, tool_choice=FORCED)
    assert reply.stop_reason == "tool_use"
    (call,) = reply.content
    assert call.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": q.get_weather(**call.input)}
    messages += [
        {"role": "assistant", "content": reply.content},
        {"role": "user", "content": [result]},
    ]
    assert text(client.messages.create(**body, messages=messages)) == q.WEATHER_ANSWER


def test_tool_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model=q.MODEL,
        max_tokens=LIMIT,
        messages=q.asked(q.WEATHER_QUESTION),
        tools=TOOLS,
        tool_choice=FORCED,
        **GREEDY,
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        (call,) = stream.get_final_message().content
    assert call.type == "tool_use"
    assert call.input == json.loads("".join(pieces)) == q.ARGUMENTS


def test_schema(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(
        model=q.MODEL,
        max_tokens=LIMIT,
        messages=q.asked(),
        **GREEDY,
        output_config={"format": {"type": "json_schema", "schema": q.SCHEMA}},
    )
    assert q.is_answer(json.loads(text(reply)))


def test_stop(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(
        model=q.MODEL,
        max_tokens=LIMIT,
        messages=q.asked(),
        **GREEDY,
        stop_sequences=[q.STOP],
    )
    assert (text(reply), reply.stop_reason) == (q.BEFORE_STOP, "stop_sequence")
    assert reply.stop_sequence == q.STOP


def test_usage(client: anthropic.Anthropic) -> None:
    body: Any = {"model": q.MODEL, "max_tokens": LIMIT, "messages": q.asked(), **GREEDY}
    complete = client.messages.create(**body).usage
    with client.messages.stream(**body) as stream:
        streamed = stream.get_final_message().usage
    assert streamed.output_tokens == complete.output_tokens > 0


def test_unknown_model(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model=q.UNKNOWN, max_tokens=LIMIT, messages=q.asked())


async def test_cancel(client: anthropic.Anthropic, url: str) -> None:
    async with q.one_cancelled(url):
        with client.messages.stream(model=q.ENDLESS, max_tokens=2000, messages=q.asked()) as stream:
            next(stream.text_stream)
