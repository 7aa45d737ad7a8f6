"""Structured output and required tool calls of a real model, through the official clients."""

import json
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest
from pydantic import BaseModel

from system.deployment import Deployment
from system.models import TOY
from system.requests import DEADLINE_SECONDS

MESSAGES: Any = [{"role": "user", "content": "What is 12 + 30?"}]
# Every schema here admits finitely many values: a model of a few million weights that samples would
# otherwise write a number or a string until its token limit.
BOUNDED: Any = {"type": "integer", "minimum": 0, "maximum": 1000}
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": BOUNDED, "b": BOUNDED},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}
NOW: Any = {
    "type": "function",
    "function": {
        "name": "now",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}
LIMIT = 500


class Answer(BaseModel):
    """As applications describe an answer."""

    sum: int
    parity: bool
    color: str | None


@pytest.fixture(scope="module")
def client(serving: Deployment) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{serving.url}/v1", api_key="none", timeout=DEADLINE_SECONDS, max_retries=0
    ) as client:
        yield client


def schema() -> dict[str, Any]:
    rules = Answer.model_json_schema()
    rules["additionalProperties"] = False
    rules["properties"]["color"] = {"anyOf": [{"enum": ["red", "blue"]}, {"type": "null"}]}
    rules["properties"]["sum"] = BOUNDED
    return rules


@pytest.mark.parametrize("streams", [False, True])
def test_ollamas_format(serving: Deployment, streams: bool) -> None:
    with ollama.Client(host=serving.url, timeout=DEADLINE_SECONDS) as client:
        fields: Any = {"format": schema(), "options": {"temperature": 1, "num_predict": LIMIT}}
        if streams:
            parts = list(client.chat(TOY, MESSAGES, stream=True, **fields))
            text = "".join(part.message.content or "" for part in parts)
        else:
            text = client.chat(TOY, MESSAGES, **fields).message.content or ""
        Answer.model_validate_json(text)
        generated = client.generate(TOY, "What is 1 + 1?", **fields)
        Answer.model_validate_json(generated.response)


def test_ollamas_json_mode(serving: Deployment) -> None:
    with ollama.Client(host=serving.url, timeout=DEADLINE_SECONDS) as client:
        options = {"temperature": 0, "num_predict": 20}
        reply = client.chat(TOY, MESSAGES, format="json", options=options)
    assert (reply.message.content or "").startswith("{")


def test_openais_schema(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=TOY,
        messages=MESSAGES,
        n=3,
        temperature=1.5,
        seed=1,
        max_tokens=LIMIT,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema(), "strict": True},
        },
    )
    for choice in completion.choices:
        assert choice.finish_reason == "stop"
        Answer.model_validate_json(choice.message.content or "")


def test_openais_parser_gives_the_parsed_object(client: openai.OpenAI) -> None:
    class Sum(BaseModel):
        positive: bool

    completion = client.chat.completions.parse(
        model=TOY, messages=MESSAGES, response_format=Sum, max_tokens=LIMIT
    )
    assert isinstance(completion.choices[0].message.parsed, Sum)


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"guided_choice": ["red", "blue"]}, {"red", "blue"}),
        ({"structured_outputs": {"choice": ["red", "blue"]}}, {"red", "blue"}),
        ({"guided_regex": "[01]{1}"}, {"0", "1"}),
        ({"guided_json": {"type": "boolean"}}, {"true", "false"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"const": 5}}}},
            "5",
        ),
    ],
)
def test_vllms_fields(client: openai.OpenAI, fields: Any, texts: Any) -> None:
    completion = client.completions.create(
        model=TOY, prompt="The answer is", temperature=1, max_tokens=LIMIT, extra_body=fields
    )
    assert completion.choices[0].text in texts


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"add", "now"}),
        ({"type": "function", "function": {"name": "now"}}, {"now"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [ADD]},
            },
            {"add"},
        ),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_required_tools(client: openai.OpenAI, choice: Any, names: set[str], streams: bool) -> None:
    fields: Any = {
        "model": TOY,
        "messages": [{"role": "user", "content": "Tell me a story."}],
        "tools": [ADD, NOW],
        "tool_choice": choice,
        "parallel_tool_calls": False,
        "max_tokens": LIMIT,
    }
    if streams:
        with client.chat.completions.stream(**fields) as stream:
            completion: Any = stream.get_final_completion()
    else:
        completion = client.chat.completions.create(**fields)
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name in names
    assert isinstance(json.loads(call.function.arguments), dict)
    assert completion.choices[0].finish_reason == "tool_calls"


def test_the_predecessor_of_tools(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=TOY,
        messages=MESSAGES,
        functions=[ADD["function"]],
        function_call={"name": "add"},
        max_tokens=LIMIT,
    )
    (choice,) = completion.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert set(json.loads(choice.message.function_call.arguments)) == {"a", "b"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"$ref": "https://example.com/x"}},
                }
            },
            "response_format",
        ),
        ({"guided_regex": "(a"}, "guided_regex"),
    ],
)
def test_an_invalid_schema_names_the_field(client: openai.OpenAI, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model=TOY, prompt="x", extra_body=fields)
    assert raised.value.param == param
