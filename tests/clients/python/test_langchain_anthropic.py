"""langchain-anthropic."""

from typing import Any, Literal

import anthropic
import pytest
from langchain.chat_models import init_chat_model
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from clients import questions as q

TOOLS = [tool(q.get_weather)]


class Answer(BaseModel):
    """An answer."""

    color: Literal["red", "blue"]
    count: int


@pytest.fixture
def server(url: str) -> dict[str, Any]:
    return {"base_url": url, "api_key": "none", "max_retries": 0, "max_tokens": 200}


@pytest.fixture
def chat(server: dict[str, Any]) -> Any:
    return ChatAnthropic(model=q.MODEL, temperature=0, **server)


def test_chat(server: dict[str, Any]) -> None:
    chat = init_chat_model(q.MODEL, model_provider="anthropic", temperature=0, **server)
    assert chat.invoke(q.QUESTION).text == q.ANSWER


async def test_stream(chat: Any) -> None:
    assert "".join(chunk.text for chunk in chat.stream(q.COUNT)) == q.COUNTED
    pieces = [chunk.text async for chunk in chat.astream(q.COUNT)]
    assert "".join(pieces) == q.COUNTED
    assert len(pieces) > 2


def test_system(chat: Any) -> None:
    messages = [SystemMessage(q.SYSTEM), HumanMessage(q.SYSTEM_QUESTION)]
    assert chat.invoke(messages).text == q.SYSTEM_ANSWER


def test_tools(chat: Any) -> None:
    messages: list[Any] = [HumanMessage(q.WEATHER_QUESTION)]
    forced = chat.bind_tools(TOOLS, tool_choice="get_weather").invoke(messages)
    (call,) = forced.tool_calls
    messages += [forced, ToolMessage(q.get_weather(**call["args"]), tool_call_id=call["id"])]
    assert chat.bind_tools(TOOLS).invoke(messages).text == q.WEATHER_ANSWER


async def test_tool_stream(chat: Any) -> None:
    bound = chat.bind_tools(TOOLS, tool_choice="any")
    total, *rest = [chunk async for chunk in bound.astream(q.WEATHER_QUESTION)]
    for chunk in rest:
        total += chunk
    (call,) = total.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", q.ARGUMENTS)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_schema(chat: Any, method: str) -> None:
    structured = chat.with_structured_output(Answer, method=method)
    assert isinstance(structured.invoke(q.QUESTION), Answer)


def test_stop(chat: Any) -> None:
    assert chat.invoke(q.QUESTION, stop=[q.STOP]).text == q.BEFORE_STOP


def test_usage(chat: Any) -> None:
    complete = chat.invoke(q.QUESTION)
    total, *rest = chat.stream(q.QUESTION)
    for chunk in rest:
        total += chunk
    assert total.usage_metadata["total_tokens"] == complete.usage_metadata["total_tokens"]


def test_unknown_model(server: dict[str, Any]) -> None:
    with pytest.raises(anthropic.NotFoundError):
        ChatAnthropic(model=q.UNKNOWN, **server).invoke(q.QUESTION)


async def test_cancel(server: dict[str, Any], url: str) -> None:
    async with q.one_cancelled(url):
        chat = ChatAnthropic(model=q.ENDLESS, **server | {"max_tokens": 2000})
        stream = chat.astream(q.STORY)
        await anext(stream)
        await stream.aclose()
