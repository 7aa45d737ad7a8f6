"""Earlier turns hold whatever a model once wrote, in both dialects."""

import json
from typing import Any

import pytest

from sizeup_gateway.api.ollama import schema as ollama
from sizeup_gateway.api.ollama.translate import from_chat as from_ollama
from sizeup_gateway.api.openai import schema as openai
from sizeup_gateway.api.openai.translate import from_chat as from_openai
from sizeup_gateway.api.request_body import parse_object
from sizeup_wire.generate import ChatMessage, ChatPrompt, GenerateRequest

USER = {"role": "user", "content": "q"}
DIALECTS = ("ollama", "openai")


def translate(dialect: str, *messages: dict[str, Any]) -> GenerateRequest:
    body = parse_object(json.dumps({"model": "m", "messages": messages}).encode())
    if dialect == "ollama":
        return from_ollama(ollama.ChatRequest.model_validate(body))
    return from_openai(openai.ChatCompletionRequest.model_validate(body))


def turns(dialect: str, *messages: dict[str, Any]) -> tuple[ChatMessage, ...]:
    """Return the wire messages of a conversation that ends with a user's."""
    prompt = translate(dialect, *messages, USER).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages[:-1]


def call(arguments: object) -> dict[str, Any]:
    function = {"name": "get weather", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c", "function": function}]}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("arguments", [{"a": [1]}, '{"a": [1]}', ' {"a": [1]}\n'])
def test_arguments_are_an_object_or_the_text_of_one(dialect: str, arguments: object) -> None:
    (turn,) = turns(dialect, call(arguments))
    (called,) = turn.tool_calls
    assert (called.name, called.arguments, called.arguments_text) == (
        "get weather",
        {"a": [1]},
        None,
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("arguments", [None, "", " \n", {}, "{}"])
def test_arguments_may_be_none(dialect: str, arguments: object) -> None:
    (turn,) = turns(dialect, call(arguments))
    assert (turn.tool_calls[0].arguments, turn.tool_calls[0].arguments_text) == ({}, None)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "{city: Paris}",
        '{"city": "Par',
        "[1]",
        "5",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": ' + "[" * 100 + "]" * 100 + "}",
    ],
)
def test_arguments_that_are_no_object_are_kept_as_text(dialect: str, text: str) -> None:
    (turn,) = turns(dialect, call(text))
    assert (turn.tool_calls[0].arguments, turn.tool_calls[0].arguments_text) == ({}, text)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_arguments_as_deep_as_inference_returns_them_are_accepted(dialect: str) -> None:
    deep: Any = {}
    for _ in range(63):
        deep = {"a": deep}
    arguments = deep if dialect == "ollama" else json.dumps(deep)
    (turn,) = turns(dialect, call(arguments))
    assert turn.tool_calls[0].arguments == deep


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": None, "tool_calls": None},
    ],
)
def test_an_answer_may_be_empty(dialect: str, message: dict[str, Any]) -> None:
    assert turns(dialect, message) == (ChatMessage(role="assistant"),)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("20 °C", "20 °C"),
        ({"t": "20 °C"}, '{"t": "20 °C"}'),
        ([1, 2], "[1, 2]"),
        ([{"type": "city", "name": "Paris"}], '[{"type": "city", "name": "Paris"}]'),
        ([{"type": [1]}], '[{"type": [1]}]'),
        (20.5, "20.5"),
        (True, "true"),
        (None, ""),
    ],
)
def test_the_result_of_a_tool_may_be_any_value(dialect: str, content: object, text: str) -> None:
    (turn,) = turns(dialect, {"role": "tool", "tool_call_id": "c", "content": content})
    assert (turn.role, turn.content) == ("tool", text)


def test_the_result_of_a_tool_may_have_parts() -> None:
    parts = [{"type": "text", "text": "20"}, {"type": "text", "text": " °C"}]
    (turn,) = turns("openai", {"role": "tool", "tool_call_id": "c", "content": parts})
    assert turn.content == "20 °C"


def test_calls_and_results_of_legacy_functions_are_those_of_tools() -> None:
    called, result = turns(
        "openai",
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{"}},
        {"role": "function", "name": "f", "content": "1"},
    )
    assert (called.tool_calls[0].name, called.tool_calls[0].arguments_text) == ("f", "{")
    assert (result.role, result.name, result.content) == ("tool", "f", "1")


def test_the_call_of_a_custom_tool_has_text() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}
    called, result = turns(
        "openai",
        {"role": "assistant", "tool_calls": [custom]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    )
    assert (called.tool_calls[0].name, called.tool_calls[0].arguments_text) == ("run", "ls -l")
    assert result.name == "run"


def test_a_refusal_is_the_content() -> None:
    (turn,) = turns("openai", {"role": "assistant", "content": None, "refusal": "no"})
    assert turn.content == "no"


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("ollama", "thinking"),
        ("openai", "thinking"),
        ("openai", "reasoning"),
        ("openai", "reasoning_content"),
    ],
)
def test_reasoning_of_earlier_turns_is_kept(dialect: str, name: str) -> None:
    (turn,) = turns(dialect, {"role": "assistant", "content": "a", name: "hm"})
    assert (turn.thinking, turn.content) == ("hm", "a")


@pytest.mark.parametrize(
    ("dialect", "last", "continues"),
    [
        ("ollama", {"content": "Once upon"}, True),
        ("ollama", {"content": "Once upon", "thinking": "hm"}, True),
        ("ollama", {"content": ""}, False),
        ("ollama", {"content": "so", "tool_calls": call({})["tool_calls"]}, False),
        ("openai", {"content": "Once upon"}, False),
    ],
)
def test_ollama_continues_the_text_of_a_last_answer(
    dialect: str, last: dict[str, Any], continues: bool
) -> None:
    prompt = translate(dialect, USER, {"role": "assistant", **last}).prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.continue_final is continues
