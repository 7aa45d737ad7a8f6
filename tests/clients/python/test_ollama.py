"""ollama-python, synchronous."""

import json
from collections.abc import Iterator

import ollama
import pytest

from clients import questions as q

GREEDY = {"temperature": 0}


@pytest.fixture
def client(url: str) -> Iterator[ollama.Client]:
    with ollama.Client(host=url) as client:
        yield client


def test_models(client: ollama.Client) -> None:
    assert q.MODEL in [model.model for model in client.list().models]
    assert "tools" in (client.show(q.MODEL).capabilities or ())
    assert q.MODEL in [model.model for model in client.ps().models]


def test_chat(client: ollama.Client) -> None:
    reply = client.chat(q.MODEL, q.asked(), options=GREEDY)
    assert reply.message.content == q.ANSWER
    assert reply.done_reason == "stop"
    assert client.generate(q.MODEL, q.QUESTION, options=GREEDY).response == q.ANSWER


def test_stream(client: ollama.Client) -> None:
    pieces = [
        part.message.content or ""
        for part in client.chat(q.MODEL, q.asked(q.COUNT), stream=True, options=GREEDY)
    ]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2
    parts = client.generate(q.MODEL, q.COUNT, stream=True, options=GREEDY)
    assert "".join(part.response or "" for part in parts) == q.COUNTED


def test_system(client: ollama.Client) -> None:
    reply = client.chat(q.MODEL, q.asked(q.SYSTEM_QUESTION, q.SYSTEM), options=GREEDY)
    assert reply.message.content == q.SYSTEM_ANSWER
    text = client.generate(q.MODEL, q.SYSTEM_QUESTION, system=q.SYSTEM, options=GREEDY)
    assert text.response == q.SYSTEM_ANSWER


def test_tools(client: ollama.Client) -> None:
    messages = q.asked(q.WEATHER_QUESTION)
    reply = client.chat(q.MODEL, messages, tools=[q.get_weather], options=GREEDY)
    (call,) = reply.message.tool_calls or ()
    result = q.get_weather(**call.function.arguments)
    messages += [reply.message, {"role": "tool", "tool_name": "get_weather", "content": result}]
    final = client.chat(q.MODEL, messages, tools=[q.get_weather], options=GREEDY)
    assert final.message.content == q.WEATHER_ANSWER


def test_tool_stream(client: ollama.Client) -> None:
    parts = client.chat(
        q.MODEL, q.asked(q.WEATHER_QUESTION), tools=[q.TOOL], stream=True, options=GREEDY
    )
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("get_weather", q.ARGUMENTS)


def test_schema(client: ollama.Client) -> None:
    reply = client.chat(q.MODEL, q.asked(), format=q.SCHEMA, options=GREEDY)
    assert q.is_answer(json.loads(reply.message.content or ""))
    text = client.generate(q.MODEL, q.QUESTION, format=q.SCHEMA, options=GREEDY)
    assert q.is_answer(json.loads(text.response or ""))


def test_embeddings(client: ollama.Client) -> None:
    reply = client.embed(q.MODEL, [q.QUESTION, q.COUNT])
    assert [len(vector) for vector in reply.embeddings] == [q.DIMENSIONS] * 2
    assert len(client.embeddings(q.MODEL, q.QUESTION).embedding) == q.DIMENSIONS


def test_logprobs(client: ollama.Client) -> None:
    reply = client.chat(q.MODEL, q.asked(), logprobs=True, top_logprobs=2, options=GREEDY)
    tokens = reply.logprobs or ()
    assert "".join(token.token for token in tokens) == q.ANSWER
    assert all(len(token.top_logprobs or ()) == 2 for token in tokens)


def test_stop(client: ollama.Client) -> None:
    reply = client.chat(q.MODEL, q.asked(), options={**GREEDY, "stop": [q.STOP]})
    assert (reply.message.content, reply.done_reason) == (q.BEFORE_STOP, "stop")


def test_seed(client: ollama.Client) -> None:
    def text(seed: int) -> str | None:
        options = {"seed": seed, "num_predict": 16}
        return client.chat(q.ENDLESS, q.asked(q.STORY), options=options).message.content

    assert text(1) == text(1) != text(2)


def test_usage(client: ollama.Client) -> None:
    complete = client.chat(q.MODEL, q.asked(), options=GREEDY)
    *parts, last = client.chat(q.MODEL, q.asked(), stream=True, options=GREEDY)
    assert (last.prompt_eval_count, last.eval_count) == (
        complete.prompt_eval_count,
        complete.eval_count,
    )
    assert last.eval_duration
    assert all(part.eval_count is None for part in parts)


def test_unknown_model(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as raised:
        client.chat(q.UNKNOWN, q.asked())
    assert raised.value.status_code == 404


def test_manage(client: ollama.Client) -> None:
    assert client.pull(q.MODEL).status == "success"
    assert list(client.pull(q.MODEL, stream=True))[-1].status == "success"
    client.create(q.CREATED, from_=q.MODEL, system=q.SYSTEM, parameters=GREEDY)
    reply = client.chat(q.CREATED, q.asked(q.SYSTEM_QUESTION))
    assert reply.message.content == q.SYSTEM_ANSWER
    client.copy(q.CREATED, q.COPIED)
    client.delete(q.CREATED)
    names = [model.model for model in client.list().models]
    assert f"{q.COPIED}:latest" in names
    assert f"{q.CREATED}:latest" not in names
    client.delete(q.COPIED)


async def test_cancel(client: ollama.Client, url: str) -> None:
    async with q.one_cancelled(url):
        stream = client.chat(q.ENDLESS, q.asked(), stream=True)
        next(stream)
        stream.close()  # type: ignore[attr-defined]  # it is a generator
