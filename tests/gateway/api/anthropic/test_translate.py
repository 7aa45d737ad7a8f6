"""Anthropic's request bodies -> wire requests."""

from typing import Any

import pytest

from sizeup_gateway.api.anthropic.schema import MessagesRequest
from sizeup_gateway.api.anthropic.translate import from_messages, to_param
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    JsonSchemaOutput,
    Sampling,
    ToolCallRequest,
)

USER = {"role": "user", "content": "hi"}
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "now",
    "input_schema": {"type": "object"},
    "cache_control": {"type": "ephemeral"},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "北京"}}


def translate(**fields: Any) -> GenerateRequest:
    body = {"model": "m", "max_tokens": 9, "messages": [USER]} | fields
    return from_messages(MessagesRequest.model_validate(body))[0]


def prompt(**fields: Any) -> ChatPrompt:
    found = translate(**fields).prompt
    assert isinstance(found, ChatPrompt)
    return found


def result(**fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1"} | fields


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("be kind", "be kind"),
        (
            [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}],
            "a\nb",
        ),
        (
            [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=00000;"},
                {"type": "text", "text": "You are Claude Code."},
            ],
            "You are Claude Code.",
        ),
    ],
)
def test_the_system_prompt(system: object, text: str) -> None:
    assert prompt(system=system).messages == (
        ChatMessage(role="system", content=text),
        ChatMessage(role="user", content="hi"),
    )


@pytest.mark.parametrize("system", [None, "", []])
def test_no_system_prompt(system: object) -> None:
    assert prompt(system=system).messages == (ChatMessage(role="user", content="hi"),)


def test_calls_and_results() -> None:
    turns = [
        {
            "role": "user",
            "content": [{"type": "text", "text": t} for t in ("reminder", "weather?")],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "let me see"},
                USE,
            ],
        },
        {
            "role": "user",
            "content": [
                result(content=[{"type": "text", "text": t} for t in "ab"], cache_control={}),
                {"type": "text", "text": "go on"},
            ],
        },
    ]
    assert prompt(messages=turns).messages == (
        ChatMessage(role="user", content="reminder\nweather?"),
        ChatMessage(
            role="assistant",
            content="let me see",
            thinking="hm",
            tool_calls=(ToolCallRequest(id="t1", name="weather", arguments={"city": "北京"}),),
        ),
        ChatMessage(role="tool", content="a\nb", tool_call_id="t1", name="weather"),
        ChatMessage(role="user", content="go on"),
    )


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"content": "sunny"}, "sunny"),
        ({}, ""),
        ({"content": []}, ""),
        ({"content": "not found", "is_error": True}, "Error: not found"),
        ({"content": [{"type": "tool_reference", "tool_name": "weather"}]}, "weather"),
    ],
)
def test_results(fields: dict[str, Any], content: str) -> None:
    turns = [
        USER,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [result(**fields)]},
    ]
    assert prompt(messages=turns).messages[-1].content == content


def test_a_last_assistant_turn_is_continued() -> None:
    found = prompt(messages=[USER, {"role": "assistant", "content": "The answer is ("}])
    assert found.continue_final
    assert found.messages[-1].content == "The answer is ("
    for content in ("", [{"type": "thinking", "thinking": "hm"}]):
        found = prompt(messages=[USER, {"role": "assistant", "content": content}])
        assert not found.continue_final
        assert found.messages == (ChatMessage(role="user", content="hi"),)


def test_tools() -> None:
    request, ignored = from_messages(
        MessagesRequest.model_validate(
            {"model": "m", "max_tokens": 1, "messages": [USER], "tools": [SEARCH, WEATHER]}
        )
    )
    assert isinstance(request.prompt, ChatPrompt)
    function = {"name": "weather", "description": "now", "parameters": {"type": "object"}}
    assert list(request.prompt.tools) == [{"type": "function", "function": function}]
    assert ignored == {"tools.0": "web_search_20250305"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", (), True)),
        ({"type": "auto"}, ("auto", (), True)),
        ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", (), False)),
        ({"type": "any"}, ("required", (), True)),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            ("required", ("weather",), False),
        ),
    ],
)
def test_tool_choice(choice: object, expected: tuple[str, tuple[str, ...], bool]) -> None:
    request = translate(tools=[WEATHER], tool_choice=choice)
    found = (request.tool_choice, request.allowed_tools, request.parallel_tool_calls)
    assert found == expected


def test_no_tools_are_offered_if_none_may_be_called() -> None:
    for tools in ([WEATHER], [SEARCH]):
        assert prompt(tools=tools, tool_choice={"type": "none"}).tools == ()


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (None, "off"),
        ({"type": "disabled"}, "off"),
        ({"type": "enabled", "budget_tokens": 1024}, "if_supported"),
        ({"type": "adaptive", "display": "omitted"}, "if_supported"),
    ],
)
def test_thinking(thinking: object, expected: str) -> None:
    assert prompt(thinking=thinking).thinking == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
    ],
)
def test_structured_output(fields: dict[str, Any]) -> None:
    expected = JsonSchemaOutput(json_schema={"type": "object"}, strict=True)
    assert translate(**fields).structured_output == expected


def test_limits_and_sampling() -> None:
    request = translate(
        stop_sequences=["END"], temperature=0.5, top_p=0.5, top_k=3, stream=True,
        metadata={"user_id": "u"}, service_tier="auto",
    )  # fmt: skip
    assert request.model_dump(exclude_defaults=True, exclude={"prompt", "fallback"}) == {
        "max_tokens": 9,
        "stop": ("END",),
        "sampling": {"temperature": 0.5, "top_p": 0.5, "top_k": 3},
    }
    assert translate(top_p=0.0, temperature=1.0).sampling == Sampling(temperature=0)


FORMAT = {"type": "json_schema", "schema": {}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [SEARCH]}, "tools.0"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "system", "content": [result()]}]}, "messages.0.content.0"),
        (
            {"messages": [USER, {"role": "assistant", "content": [result()]}]},
            "messages.1.content.0",
        ),
        ({"messages": [USER, {"role": "assistant", "content": [USE]}]}, "messages.1"),
        ({"messages": [{"role": "assistant", "content": ""}]}, "messages"),
        ({"messages": [{"role": "user", "content": [result()] * 4097}]}, "messages"),
        ({"output_format": FORMAT, "output_config": {"format": FORMAT}}, "output_format"),
    ],
)
def test_contradictions_name_their_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        translate(**fields)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ("prompt", "messages"),
        ("prompt.tools", "tools"),
        ("structured_output", "output_config.format"),
        ("sampling.temperature", "temperature"),
        ("stop", "stop_sequences"),
        ("max_tokens", "max_tokens"),
    ],
)
def test_wire_fields_have_their_names_in_the_request(wire: str, param: str) -> None:
    assert to_param(wire) == param
