"""openai-agents with OpenAIResponsesModel, its default."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import agents
import openai
import pytest
from pydantic import BaseModel

from clients import questions as q

TOOLS: Any = [agents.function_tool(q.get_weather)]


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


@pytest.fixture
async def client(url: str) -> AsyncIterator[Any]:
    agents.set_tracing_disabled(True)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def agent(client: Any, model: str = q.MODEL, **fields: Any) -> Any:
    settings = agents.ModelSettings(temperature=0, include_usage=True)
    responses = agents.OpenAIResponsesModel(model, client)
    return agents.Agent("agent", **{"model": responses, "model_settings": settings, **fields})


async def test_chat(client: Any) -> None:
    assert (await agents.Runner.run(agent(client), q.QUESTION)).final_output == q.ANSWER


async def test_stream(client: Any) -> None:
    result = agents.Runner.run_streamed(agent(client), q.COUNT)
    raw = [event.data async for event in result.stream_events() if "raw" in event.type]
    pieces = [data.delta for data in raw if data.type == "response.output_text.delta"]
    assert "".join(pieces) == result.final_output == q.COUNTED
    assert len(pieces) > 2


async def test_system(client: Any) -> None:
    instructed = agent(client, instructions=q.SYSTEM)
    result = await agents.Runner.run(instructed, q.SYSTEM_QUESTION)
    assert result.final_output == q.SYSTEM_ANSWER


async def test_tools(client: Any) -> None:
    settings = agents.ModelSettings(temperature=0, tool_choice="required")  # of the first turn
    forced = agent(client, tools=TOOLS, model_settings=settings)
    result = await agents.Runner.run(forced, q.WEATHER_QUESTION)
    assert result.final_output == q.WEATHER_ANSWER


async def test_tool_stream(client: Any) -> None:
    result = agents.Runner.run_streamed(agent(client, tools=TOOLS), q.WEATHER_QUESTION)
    items = [event.item.type async for event in result.stream_events() if "item" in event.type]
    assert items == ["tool_call_item", "tool_call_output_item", "message_output_item"]
    assert result.final_output == q.WEATHER_ANSWER


async def test_schema(client: Any) -> None:
    result = await agents.Runner.run(agent(client, output_type=Answer), q.QUESTION)
    assert isinstance(result.final_output, Answer)


async def test_usage(client: Any) -> None:
    complete = await agents.Runner.run(agent(client), q.QUESTION)
    streamed = agents.Runner.run_streamed(agent(client), q.QUESTION)
    async for _ in streamed.stream_events():
        pass
    total = streamed.context_wrapper.usage.total_tokens
    assert total == complete.context_wrapper.usage.total_tokens > 0


async def test_unknown_model(client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        await agents.Runner.run(agent(client, q.UNKNOWN), q.QUESTION)


async def test_cancel(client: Any, url: str) -> None:
    async with q.one_cancelled(url):
        result = agents.Runner.run_streamed(agent(client, q.ENDLESS), q.STORY)
        async for event in result.stream_events():
            if event.type == "raw_response_event":
                result.cancel()
