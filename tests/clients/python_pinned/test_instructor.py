"""instructor, whose every answer is a structured one: by a schema, and by a forced tool call."""

from typing import Any, Literal

import instructor
import openai
import pytest
from instructor.core import InstructorRetryException
from pydantic import BaseModel

from clients import questions as q


class Answer(BaseModel):
    color: Literal["red", "blue"]
    count: int


class Weather(BaseModel):
    """get the weather"""

    city: str


def instructed(url: str, mode: Any, model: str = q.MODEL) -> Any:
    return instructor.from_provider(f"ollama/{model}", base_url=f"{url}/v1", mode=mode)


def test_chat(url: str) -> None:
    client = instructed(url, instructor.Mode.TOOLS)
    reply = client.create(messages=q.asked(), response_model=None, temperature=0)
    assert reply.choices[0].message.content == q.ANSWER


def test_stream(url: str) -> None:
    client = instructed(url, instructor.Mode.JSON_SCHEMA)
    parts = list(client.create_partial(messages=q.asked(), response_model=Answer, temperature=0))
    assert q.is_answer(parts[-1].model_dump())
    assert len(parts) > 2


def test_system(url: str) -> None:
    client = instructed(url, instructor.Mode.TOOLS)
    messages = q.asked(q.SYSTEM_QUESTION, q.SYSTEM)
    reply = client.create(messages=messages, response_model=None, temperature=0)
    assert reply.choices[0].message.content == q.SYSTEM_ANSWER


def test_tools(url: str) -> None:
    client = instructed(url, instructor.Mode.TOOLS)
    weather = client.create(
        messages=q.asked(q.WEATHER_QUESTION), response_model=Weather, temperature=0
    )
    assert weather.city == "Paris"


def test_tool_stream(url: str) -> None:
    client = instructed(url, instructor.Mode.TOOLS)
    parts = list(
        client.create_partial(
            messages=q.asked(q.WEATHER_QUESTION), response_model=Weather, temperature=0
        )
    )
    assert parts[-1].city == "Paris"
    assert len(parts) > 2


async def test_schema(url: str) -> None:
    client = instructed(url, instructor.Mode.JSON_SCHEMA)
    answer, completion = client.create_with_completion(
        messages=q.asked(), response_model=Answer, temperature=0
    )
    assert isinstance(answer, Answer)
    assert completion.usage.total_tokens > 0
    server = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none")
    asynchronous = instructor.from_openai(server, mode=instructor.Mode.TOOLS_STRICT)
    other = await asynchronous.create(
        model=q.MODEL, messages=q.asked(), response_model=Answer, temperature=0
    )
    assert isinstance(other, Answer)


def test_unknown_model(url: str) -> None:
    client = instructed(url, instructor.Mode.TOOLS, q.UNKNOWN)
    with pytest.raises(InstructorRetryException, match="model_not_found"):
        client.create(messages=q.asked(), response_model=Answer, max_retries=0)
