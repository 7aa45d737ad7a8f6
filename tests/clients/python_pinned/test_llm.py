"""llm with llm-ollama."""

import json
from typing import Any

import llm
import ollama
import pytest
from llm_ollama.models.chat import OllamaChatModel
from llm_ollama.models.embed import OllamaEmbeddingModel

from clients import questions as q

NAME = f"ollama/{q.MODEL}"


@pytest.fixture
def model() -> Any:
    return llm.get_model(NAME)


def test_models() -> None:
    assert NAME in [model.model_id for model in llm.get_models()]


def test_chat(model: Any) -> None:
    assert model.prompt(q.QUESTION, temperature=0, stream=False).text() == q.ANSWER


async def test_stream(model: Any) -> None:
    pieces = list(model.prompt(q.COUNT, temperature=0))
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2
    asynchronous = llm.get_async_model(NAME)
    assert [piece async for piece in asynchronous.prompt(q.COUNT, temperature=0)] == pieces


def test_system(model: Any) -> None:
    reply = model.prompt(q.SYSTEM_QUESTION, system=q.SYSTEM, temperature=0)
    assert reply.text() == q.SYSTEM_ANSWER


def test_tools(model: Any) -> None:
    chain = model.chain(
        q.WEATHER_QUESTION, tools=[q.get_weather], options={"temperature": 0}, stream=False
    )
    assert chain.text() == q.WEATHER_ANSWER


def test_tool_stream(model: Any) -> None:
    chain = model.chain(q.WEATHER_QUESTION, tools=[q.get_weather], options={"temperature": 0})
    pieces = list(chain)
    assert "".join(pieces) == q.WEATHER_ANSWER
    assert len(pieces) > 2


def test_schema(model: Any) -> None:
    reply = model.prompt(q.QUESTION, schema=q.SCHEMA, temperature=0)
    assert q.is_answer(json.loads(reply.text()))


def test_embeddings() -> None:
    model = OllamaEmbeddingModel(model_id=NAME, ollama_name=q.MODEL)
    assert len(model.embed(q.QUESTION)) == q.DIMENSIONS


def test_stop(model: Any) -> None:
    assert model.prompt(q.QUESTION, temperature=0, stop=[q.STOP]).text() == q.BEFORE_STOP


def test_seed() -> None:
    def text(seed: int) -> Any:
        return (
            llm.get_model(f"ollama/{q.ENDLESS}").prompt(q.STORY, seed=seed, num_predict=16).text()
        )

    assert text(1) == text(1) != text(2)


def test_usage(model: Any) -> None:
    complete = model.prompt(q.QUESTION, temperature=0, stream=False).usage()
    streamed = model.prompt(q.QUESTION, temperature=0).usage()
    assert (streamed.input, streamed.output) == (complete.input, complete.output)
    assert streamed.output > 0


def test_unknown_model() -> None:
    with pytest.raises(llm.UnknownModelError):
        llm.get_model(f"ollama/{q.UNKNOWN}")
    with pytest.raises(ollama.ResponseError) as raised:
        OllamaChatModel(model_id="unknown", ollama_name=q.UNKNOWN, capabilities=()).prompt(
            q.QUESTION
        ).text()
    assert raised.value.status_code == 404


async def test_cancel(url: str) -> None:
    async with q.one_cancelled(url):
        pieces = iter(llm.get_model(f"ollama/{q.ENDLESS}").prompt(q.QUESTION))
        next(pieces)
        pieces.close()
