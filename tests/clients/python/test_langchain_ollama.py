"""langchain-ollama."""

from typing import Any, Literal

import ollama
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from pydantic import BaseModel

from clients import questions as q

TOOLS = [tool(q.get_weather)]


class Answer(BaseModel):
    """An answer."""

    color: Literal["red", "blue"]
    count: int


@pytest.fixture
def chat(url: str) -> Any:
    return ChatOllama(model=q.MODEL, base_url=url, temperature=0)


def test_models(url: str) -> None:
    ChatOllama(model=q.MODEL, base_url=url, validate_model_on_init=True)


def test_chat(url: str) -> None:
    chat = init_chat_model(q.MODEL, model_provider="ollama", base_url=url, temperature=0)
    reply = chat.invoke(q.QUESTION)
    assert reply.content == q.ANSWER
    assert reply.response_metadata["done_reason"] == "stop"


async def test_stream(chat: Any) -> None:
    assert "".join(chunk.content for chunk in chat.stream(q.COUNT)) == q.COUNTED
    pieces = [chunk.content async for chunk in chat.astream(q.COUNT)]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2


def test_system(chat: Any) -> None:
    messages = [SystemMessage(q.SYSTEM), HumanMessage(q.SYSTEM_QUESTION)]
    assert chat.invoke(messages).content == q.SYSTEM_ANSWER


def test_tools(chat: Any) -> None:
    bound = chat.bind_tools(TOOLS)
    messages: list[Any] = [HumanMessage(q.WEATHER_QUESTION)]
    called = bound.invoke(messages)
    (call,) = called.tool_calls
    messages += [called, ToolMessage(q.get_weather(**call["args"]), tool_call_id=call["id"])]
    assert bound.invoke(messages).content == q.WEATHER_ANSWER


async def test_tool_stream(chat: Any) -> None:
    total, *rest = [c async for c in chat.bind_tools(TOOLS).astream(q.WEATHER_QUESTION)]
    for chunk in rest:
        total += chunk
    (call,) = total.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", q.ARGUMENTS)


def test_schema(chat: Any) -> None:
    structured = chat.with_structured_output(Answer, method="json_schema")
    assert isinstance(structured.invoke(q.QUESTION), Answer)


def test_embeddings(url: str) -> None:
    embeddings = OllamaEmbeddings(model=q.MODEL, base_url=url)
    assert len(embeddings.embed_query(q.QUESTION)) == q.DIMENSIONS
    assert len(embeddings.embed_documents([q.QUESTION, q.COUNT])) == 2


def test_logprobs(url: str) -> None:
    chat = ChatOllama(model=q.MODEL, base_url=url, temperature=0, logprobs=True, top_logprobs=2)
    tokens = chat.invoke(q.QUESTION).response_metadata["logprobs"]
    assert "".join(token["token"] for token in tokens) == q.ANSWER


def test_stop(chat: Any) -> None:
    assert chat.invoke(q.QUESTION, stop=[q.STOP]).content == q.BEFORE_STOP


def test_seed(url: str) -> None:
    def text(seed: int) -> Any:
        chat = ChatOllama(model=q.ENDLESS, base_url=url, seed=seed, num_predict=16)
        return chat.invoke(q.STORY).content

    assert text(1) == text(1) != text(2)


def test_usage(chat: Any) -> None:
    complete = chat.invoke(q.QUESTION)
    total, *rest = chat.stream(q.QUESTION)
    for chunk in rest:
        total += chunk
    assert total.usage_metadata["total_tokens"] == complete.usage_metadata["total_tokens"]


def test_unknown_model(url: str) -> None:
    with pytest.raises(ollama.ResponseError) as raised:
        ChatOllama(model=q.UNKNOWN, base_url=url).invoke(q.QUESTION)
    assert raised.value.status_code == 404


async def test_cancel(url: str) -> None:
    async with q.one_cancelled(url):
        stream = ChatOllama(model=q.ENDLESS, base_url=url).stream(q.QUESTION)
        next(stream)
        stream.close()
