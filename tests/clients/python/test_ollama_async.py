"""ollama-python, asynchronous."""

import json
from collections.abc import AsyncIterator

import ollama
import pytest

from clients import questions as q

GREEDY = {"temperature": 0}


@pytest.fixture
async def client(url: str) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(host=url) as client:
        yield client


async def test_models(client: ollama.AsyncClient) -> None:
    assert q.MODEL in [model.model for model in (await client.list()).models]


async def test_chat(client: ollama.AsyncClient) -> None:
    reply = await client.chat(q.MODEL, q.asked(), options=GREEDY)
    assert reply.message.content == q.ANSWER
    assert (await client.generate(q.MODEL, q.QUESTION, options=GREEDY)).response == q.ANSWER


async def test_stream(client: ollama.AsyncClient) -> None:
    stream = await client.chat(q.MODEL, q.asked(q.COUNT), stream=True, options=GREEDY)
    pieces = [part.message.content or "" async for part in stream]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2


async def test_system(client: ollama.AsyncClient) -> None:
    reply = await client.chat(q.MODEL, q.asked(q.SYSTEM_QUESTION, q.SYSTEM), options=GREEDY)
    assert reply.message.content == q.SYSTEM_ANSWER


async def test_tools(client: ollama.AsyncClient) -> None:
    messages = q.asked(q.WEATHER_QUESTION)
    reply = await client.chat(q.MODEL, messages, tools=[q.get_weather], options=GREEDY)
    (call,) = reply.message.tool_calls or ()
    result = q.get_weather(**call.function.arguments)
    messages += [reply.message, {"role": "tool", "tool_name": "get_weather", "content": result}]
    final = await client.chat(q.MODEL, messages, tools=[q.get_weather], options=GREEDY)
    assert final.message.content == q.WEATHER_ANSWER


async def test_tool_stream(client: ollama.AsyncClient) -> None:
    stream = await client.chat(
        q.MODEL, q.asked(q.WEATHER_QUESTION), tools=[q.TOOL], stream=True, options=GREEDY
    )
    (call,) = [call async for part in stream for call in part.message.tool_calls or ()]
    assert (call.function.name, call.function.arguments) == ("get_weather", q.ARGUMENTS)


async def test_schema(client: ollama.AsyncClient) -> None:
    reply = await client.chat(q.MODEL, q.asked(), format=q.SCHEMA, options=GREEDY)
    assert q.is_answer(json.loads(reply.message.content or ""))


async def test_embeddings(client: ollama.AsyncClient) -> None:
    reply = await client.embed(q.MODEL, [q.QUESTION, q.COUNT])
    assert [len(vector) for vector in reply.embeddings] == [q.DIMENSIONS] * 2


async def test_logprobs(client: ollama.AsyncClient) -> None:
    reply = await client.chat(q.MODEL, q.asked(), logprobs=True, top_logprobs=2, options=GREEDY)
    tokens = reply.logprobs or ()
    assert "".join(token.token for token in tokens) == q.ANSWER
    assert all(len(token.top_logprobs or ()) == 2 for token in tokens)


async def test_stop(client: ollama.AsyncClient) -> None:
    reply = await client.chat(q.MODEL, q.asked(), options={**GREEDY, "stop": [q.STOP]})
    assert (reply.message.content, reply.done_reason) == (q.BEFORE_STOP, "stop")


async def test_seed(client: ollama.AsyncClient) -> None:
    async def text(seed: int) -> str | None:
        options = {"seed": seed, "num_predict": 16}
        return (await client.chat(q.ENDLESS, q.asked(q.STORY), options=options)).message.content

    assert await text(1) == await text(1) != await text(2)


async def test_usage(client: ollama.AsyncClient) -> None:
    stream = await client.chat(q.MODEL, q.asked(), stream=True, options=GREEDY)
    *parts, last = [part async for part in stream]
    assert last.prompt_eval_count
    assert last.eval_count
    assert all(part.eval_count is None for part in parts)


async def test_unknown_model(client: ollama.AsyncClient) -> None:
    with pytest.raises(ollama.ResponseError) as raised:
        await client.chat(q.UNKNOWN, q.asked())
    assert raised.value.status_code == 404


async def test_manage(client: ollama.AsyncClient) -> None:
    parts = [part.status async for part in await client.pull(q.MODEL, stream=True)]
    assert parts[-1] == "success"
    await client.create(q.CREATED, from_=q.MODEL, system=q.SYSTEM, parameters=GREEDY)
    reply = await client.chat(q.CREATED, q.asked(q.SYSTEM_QUESTION))
    assert reply.message.content == q.SYSTEM_ANSWER
    await client.copy(q.CREATED, q.COPIED)
    await client.delete(q.CREATED)
    names = [model.model for model in (await client.list()).models]
    assert f"{q.COPIED}:latest" in names
    assert f"{q.CREATED}:latest" not in names
    await client.delete(q.COPIED)


async def test_cancel(client: ollama.AsyncClient, url: str) -> None:
    async with q.one_cancelled(url):
        stream = await client.chat(q.ENDLESS, q.asked(), stream=True)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
