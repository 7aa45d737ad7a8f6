"""openai-python, synchronous."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from clients import questions as q

TOOLS: Any = [q.TOOL]


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models(client: openai.OpenAI) -> None:
    assert q.MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(q.ENDLESS).id == q.ENDLESS


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=q.MODEL, messages=q.asked(), temperature=0)
    assert reply.choices[0].message.content == q.ANSWER
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    text = client.completions.create(model=q.MODEL, prompt=q.QUESTION, temperature=0)
    assert text.choices[0].text


def test_stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=q.MODEL, messages=q.asked(q.COUNT), temperature=0, stream=True
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == q.COUNTED
    assert chunks[-1].choices[0].finish_reason == "stop"
    with client.chat.completions.stream(
        model=q.MODEL, messages=q.asked(q.COUNT), temperature=0
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(pieces) == q.COUNTED
        assert len(pieces) > 1
        assert stream.get_final_completion().choices[0].message.content == q.COUNTED


def test_system(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=q.MODEL, messages=q.asked(q.SYSTEM_QUESTION, q.SYSTEM), temperature=0
    )
    assert reply.choices[0].message.content == q.SYSTEM_ANSWER


def test_tools(client: openai.OpenAI) -> None:
    messages = q.asked(q.WEATHER_QUESTION)
    reply = client.chat.completions.create(
        model=q.MODEL, messages=messages, tools=TOOLS, tool_choice=q.FORCED, temperature=0
    )
    assert reply.choices[0].finish_reason == "tool_calls"
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    result = q.get_weather(**json.loads(call.function.arguments))
    messages += [
        reply.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    final = client.chat.completions.create(
        model=q.MODEL, messages=messages, tools=TOOLS, temperature=0
    )
    assert final.choices[0].message.content == q.WEATHER_ANSWER


def test_tool_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=q.MODEL,
        messages=q.asked(q.WEATHER_QUESTION),
        tools=TOOLS,
        tool_choice=q.FORCED,
        temperature=0,
    ) as stream:
        pieces = [
            event.arguments_delta
            for event in stream
            if event.type == "tool_calls.function.arguments.delta"
        ]
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert call.function.name == q.TOOL["function"]["name"]
    assert json.loads(call.function.arguments) == json.loads("".join(pieces)) == q.ARGUMENTS
    assert len(pieces) > 1


def test_schema(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(
        model=q.MODEL, messages=q.asked(), response_format=Answer, temperature=0
    )
    assert isinstance(reply.choices[0].message.parsed, Answer)
    with client.chat.completions.stream(
        model=q.MODEL, messages=q.asked(), response_format=Answer, temperature=0
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == reply.choices[0].message.parsed


def test_embeddings(client: openai.OpenAI) -> None:
    texts = [q.QUESTION, q.COUNT]
    base64 = client.embeddings.create(model=q.MODEL, input=texts)
    floats = client.embeddings.create(model=q.MODEL, input=texts, encoding_format="float")
    for one, other in zip(base64.data, floats.data, strict=True):
        assert len(one.embedding) == q.DIMENSIONS
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_logprobs(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=q.MODEL, messages=q.asked(), temperature=0, logprobs=True, top_logprobs=2
    )
    assert reply.choices[0].logprobs is not None
    tokens = reply.choices[0].logprobs.content or []
    assert "".join(token.token for token in tokens) == q.ANSWER
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)


def test_n(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=q.ENDLESS, messages=q.asked(), n=2, max_tokens=8)
    first, second = (choice.message.content for choice in reply.choices)
    assert first != second


def test_stop(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=q.MODEL, messages=q.asked(), temperature=0, stop=[q.STOP]
    )
    assert reply.choices[0].message.content == q.BEFORE_STOP
    assert reply.choices[0].finish_reason == "stop"


def test_seed(client: openai.OpenAI) -> None:
    def text(seed: int) -> str | None:
        reply = client.chat.completions.create(
            model=q.ENDLESS, messages=q.asked(q.STORY), seed=seed, max_tokens=16
        )
        return reply.choices[0].message.content

    assert text(1) == text(1) != text(2)


def test_usage(client: openai.OpenAI) -> None:
    complete = client.chat.completions.create(model=q.MODEL, messages=q.asked(), temperature=0)
    *chunks, last = client.chat.completions.create(
        model=q.MODEL,
        messages=q.asked(),
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert last.usage is not None
    assert complete.usage is not None
    assert last.usage.total_tokens == complete.usage.total_tokens
    assert all(chunk.usage is None for chunk in chunks)


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=q.UNKNOWN, messages=q.asked())
    assert raised.value.code == "model_not_found"


async def test_cancel(client: openai.OpenAI, url: str) -> None:
    async with q.one_cancelled(url):
        stream = client.chat.completions.create(model=q.ENDLESS, messages=q.asked(), stream=True)
        next(stream)
        stream.close()
