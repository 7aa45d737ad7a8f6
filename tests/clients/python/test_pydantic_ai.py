"""pydantic-ai with OpenAIChatModel."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, Embedder, ModelHTTPError, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from clients import questions as q


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


@pytest.fixture
def provider(url: str) -> Any:
    return OpenAIProvider(base_url=f"{url}/v1", api_key="none")


@pytest.fixture
def model(provider: Any) -> Any:
    return OpenAIChatModel(q.MODEL, provider=provider, settings={"temperature": 0})


@pytest.fixture
def endless(provider: Any) -> Any:
    return OpenAIChatModel(q.ENDLESS, provider=provider)


async def test_chat(model: Any, url: str) -> None:
    assert (await Agent(model).run(q.QUESTION)).output == q.ANSWER
    ollama = OllamaModel(q.MODEL, provider=OllamaProvider(base_url=f"{url}/v1"))
    assert (
        await Agent(ollama).run(q.QUESTION, model_settings={"temperature": 0})
    ).output == q.ANSWER


async def test_stream(model: Any) -> None:
    async with Agent(model).run_stream(q.COUNT) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 1


async def test_system(model: Any) -> None:
    agent = Agent(model, system_prompt=q.SYSTEM)
    assert (await agent.run(q.SYSTEM_QUESTION)).output == q.SYSTEM_ANSWER


async def test_tools(model: Any) -> None:
    result = await Agent(model, tools=[q.get_weather]).run(q.WEATHER_QUESTION)
    assert result.output == q.WEATHER_ANSWER
    assert result.usage.tool_calls == 1


async def test_tool_stream(model: Any) -> None:
    agent = Agent(model, tools=[q.get_weather])
    async with agent.run_stream(q.WEATHER_QUESTION) as result:
        assert await result.get_output() == q.WEATHER_ANSWER
        assert result.usage.tool_calls == 1


@pytest.mark.parametrize("output", [Answer, NativeOutput(Answer)], ids=["tool", "native"])
async def test_schema(model: Any, output: Any) -> None:
    assert isinstance((await Agent(model, output_type=output).run(q.QUESTION)).output, Answer)


async def test_embeddings(provider: Any) -> None:
    embedder = Embedder(OpenAIEmbeddingModel(q.MODEL, provider=provider))
    result = await embedder.embed_documents([q.QUESTION, q.COUNT])
    assert [len(vector) for vector in result.embeddings] == [q.DIMENSIONS] * 2


async def test_logprobs(model: Any) -> None:
    settings: Any = {"openai_logprobs": True, "openai_top_logprobs": 2}
    result = await Agent(model).run(q.QUESTION, model_settings=settings)
    tokens = result.all_messages()[-1].provider_details["logprobs"]
    assert "".join(token["token"] for token in tokens) == q.ANSWER


async def test_stop(model: Any) -> None:
    result = await Agent(model).run(q.QUESTION, model_settings={"stop_sequences": [q.STOP]})
    assert result.output == q.BEFORE_STOP


async def test_seed(endless: Any) -> None:
    async def text(seed: int) -> Any:
        settings: Any = {"seed": seed, "max_tokens": 16}
        return (await Agent(endless).run(q.STORY, model_settings=settings)).output

    assert await text(1) == await text(1) != await text(2)


async def test_usage(model: Any) -> None:
    complete = await Agent(model).run(q.QUESTION)
    async with Agent(model).run_stream(q.QUESTION) as result:
        await result.get_output()
    assert result.usage.total_tokens == complete.usage.total_tokens > 0


async def test_unknown_model(provider: Any) -> None:
    with pytest.raises(ModelHTTPError) as raised:
        await Agent(OpenAIChatModel(q.UNKNOWN, provider=provider)).run(q.QUESTION)
    assert raised.value.status_code == 404


async def test_cancel(endless: Any, url: str) -> None:
    async with q.one_cancelled(url), Agent(endless).run_stream(q.QUESTION) as result:
        await anext(result.stream_text(delta=True, debounce_by=None))
        await result.cancel()
