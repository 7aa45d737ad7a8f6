"""langchain-openai."""

from typing import Any, Literal

import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from clients import questions as q

TOOLS = [tool(q.get_weather)]


class Answer(BaseModel):
    """An answer."""

    color: Literal["red", "blue"]
    count: int


@pytest.fixture
def server(url: str) -> dict[str, Any]:
    return {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}


@pytest.fixture
def chat(server: dict[str, Any]) -> Any:
    return ChatOpenAI(model=q.MODEL, temperature=0, **server)


def test_chat(server: dict[str, Any]) -> None:
    chat = init_chat_model(q.MODEL, model_provider="openai", temperature=0, **server)
    reply = chat.invoke(q.QUESTION)
    assert reply.content == q.ANSWER
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata["output_tokens"] > 0


async def test_stream(chat: Any) -> None:
    assert "".join(chunk.content for chunk in chat.stream(q.COUNT)) == q.COUNTED
    pieces = [chunk.content async for chunk in chat.astream(q.COUNT)]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2


def test_system(chat: Any) -> None:
    messages = [SystemMessage(q.SYSTEM), HumanMessage(q.SYSTEM_QUESTION)]
    assert chat.invoke(messages).content == q.SYSTEM_ANSWER


def test_tools(chat: Any) -> None:
    messages: list[Any] = [HumanMessage(q.WEATHER_QUESTION)]
    forced = chat.bind_tools(TOOLS, tool_choice="get_weather").invoke(messages)
    (call,) = forced.tool_calls
    messages += [forced, ToolMessage(q.get_weather(**call["args"]), tool_call_id=call["id"])]
    assert chat.bind_tools(TOOLS).invoke(messages).content == q.WEATHER_ANSWER


async def test_tool_stream(chat: Any) -> None:
    bound = chat.bind_tools(TOOLS, tool_choice="any")
    total, *rest = [chunk async for chunk in bound.astream(q.WEATHER_QUESTION)]
    for chunk in rest:
        total += chunk
    (call,) = total.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", q.ARGUMENTS)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_schema(chat: Any, method: str) -> None:
    assert isinstance(chat.with_structured_output(Answer, method=method).invoke(q.QUESTION), Answer)


def test_embeddings(server: dict[str, Any]) -> None:
    embeddings = OpenAIEmbeddings(model=q.MODEL, check_embedding_ctx_length=False, **server)
    assert len(embeddings.embed_query(q.QUESTION)) == q.DIMENSIONS
    assert len(embeddings.embed_documents([q.QUESTION, q.COUNT])) == 2


def test_logprobs(chat: Any) -> None:
    reply = chat.bind(logprobs=True, top_logprobs=2).invoke(q.QUESTION)
    tokens = reply.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == q.ANSWER


def test_n(server: dict[str, Any]) -> None:
    chat = ChatOpenAI(model=q.ENDLESS, n=2, max_tokens=8, **server)
    ((first, second),) = chat.generate([[HumanMessage(q.QUESTION)]]).generations
    assert first.text != second.text


def test_stop(chat: Any) -> None:
    assert chat.invoke(q.QUESTION, stop=[q.STOP]).content == q.BEFORE_STOP


def test_seed(server: dict[str, Any]) -> None:
    def text(seed: int) -> Any:
        return (
            ChatOpenAI(model=q.ENDLESS, seed=seed, max_tokens=16, **server).invoke(q.STORY).content
        )

    assert text(1) == text(1) != text(2)


def test_usage(chat: Any) -> None:
    complete = chat.invoke(q.QUESTION)
    total, *rest = chat.stream(q.QUESTION, stream_usage=True)
    for chunk in rest:
        total += chunk
    assert total.usage_metadata["total_tokens"] == complete.usage_metadata["total_tokens"]


def test_unknown_model(server: dict[str, Any]) -> None:
    with pytest.raises(openai.NotFoundError):
        ChatOpenAI(model=q.UNKNOWN, **server).invoke(q.QUESTION)


async def test_cancel(server: dict[str, Any], url: str) -> None:
    async with q.one_cancelled(url):
        stream = ChatOpenAI(model=q.ENDLESS, **server).stream(q.QUESTION)
        next(stream)
        stream.close()
