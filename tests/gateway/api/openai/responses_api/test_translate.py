"""Request bodies of the Responses API -> wire requests."""

from typing import Any

import pytest

from sizeup_gateway.api.openai.responses_api.reasoning import seal
from sizeup_gateway.api.openai.responses_api.schema import ResponsesRequest
from sizeup_gateway.api.openai.responses_api.tools import OfferedTools
from sizeup_gateway.api.openai.responses_api.translate import from_responses, to_param
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    JsonObjectOutput,
    JsonSchemaOutput,
    Sampling,
    ToolCallRequest,
)

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "now",
    "parameters": {"type": "object"},
    "strict": False,
}
CRM = {
    "type": "namespace",
    "name": "crm",
    "description": "customers",
    "tools": [{"type": "function", "name": "find"}, {"type": "custom", "name": "sql"}],
}
SEARCH = {"type": "web_search"}
MANY = [
    {
        "type": "namespace",
        "name": f"n{i}",
        "tools": [WEATHER | {"name": f"f{j}"} for j in range(40)],
    }
    for i in range(40)
]


def translate(**fields: Any) -> tuple[GenerateRequest, OfferedTools]:
    body = {"model": "m", "input": "hi"} | fields
    return from_responses(ResponsesRequest.model_validate(body))


def messages(*items: Any, **fields: Any) -> list[ChatMessage]:
    prompt = translate(input=list(items) or "hi", **fields)[0].prompt
    assert isinstance(prompt, ChatPrompt)
    return list(prompt.messages)


def call(id: str, arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": "f", "arguments": arguments} | fields


def output(id: str, text: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": text}


def test_a_string_is_a_message_of_the_user() -> None:
    assert messages(instructions="be kind") == [
        ChatMessage(role="system", content="be kind"),
        ChatMessage(role="user", content="hi"),
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "user", "content": "a"}, ChatMessage(role="user", content="a")),
        (
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_text", "text": "b"},
                ],
            },
            ChatMessage(role="user", content="ab"),
        ),
        (
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "a", "annotations": []}],
            },
            ChatMessage(role="assistant", content="a"),
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            ChatMessage(role="assistant", content="no"),
        ),
        ({"role": "developer", "content": "a"}, ChatMessage(role="system", content="a")),
    ],
)
def test_a_message(item: dict[str, Any], message: ChatMessage) -> None:
    assert messages(item) == [message]


def test_consecutive_system_messages_are_one() -> None:
    items = [{"role": role, "content": role} for role in ("developer", "system", "user")]
    assert messages(*items, instructions="first") == [
        ChatMessage(role="system", content="first\n\ndeveloper\n\nsystem"),
        ChatMessage(role="user", content="user"),
    ]


def test_items_of_the_assistant_are_one_message_and_results_name_their_function() -> None:
    assert messages(
        {"role": "user", "content": "q"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
        {"role": "assistant", "content": "let me see"},
        call("c1", '{"x": 1}'),
        call("c2", "", namespace="crm"),
        output("c1"),
        output("c2", [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]),
        {"role": "assistant", "content": "done"},
    ) == [
        ChatMessage(role="user", content="q"),
        ChatMessage(
            role="assistant",
            content="let me see",
            thinking="r",
            tool_calls=(
                ToolCallRequest(id="c1", name="f", arguments={"x": 1}),
                ToolCallRequest(id="c2", name="crm__f", arguments={}),
            ),
        ),
        ChatMessage(role="tool", content="done", tool_call_id="c1", name="f"),
        ChatMessage(role="tool", content="ab", tool_call_id="c2", name="crm__f"),
        ChatMessage(role="assistant", content="done"),
    ]


def test_items_of_other_servers_are_readable() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"}
    result = {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {}}
    assert messages({"role": "user", "content": "q"}, search, custom, result) == [
        ChatMessage(role="user", content="q"),
        ChatMessage(
            role="assistant",
            tool_calls=(ToolCallRequest(id="c", name="patch", arguments={"input": "*** Begin"}),),
        ),
        ChatMessage(role="tool", content="ok", tool_call_id="c", name="patch"),
    ]


@pytest.mark.parametrize(
    ("item", "thinking"),
    [
        ({"content": [{"type": "reasoning_text", "text": "a"}]}, "a"),
        ({"content": None, "encrypted_content": seal("嗯 😀")}, "嗯 😀"),
        ({"encrypted_content": seal("a"), "summary": [{"type": "summary_text", "text": "b"}]}, "a"),
        ({"summary": [{"type": "summary_text", "text": t} for t in "ab"]}, "a\n\nb"),
        ({"encrypted_content": "gAAAAABo"}, None),
        ({"encrypted_content": "sizeup1.%"}, None),
        ({"encrypted_content": "sizeup1.gA=="}, None),
        ({"summary": []}, None),
    ],
)
def test_reasoning_is_read_in_every_form(item: dict[str, Any], thinking: str | None) -> None:
    (message,) = messages({"type": "reasoning"} | item, {"role": "assistant", "content": "x"})
    assert message.thinking == thinking


def test_reasoning_that_led_to_nothing_is_no_message() -> None:
    reasoning = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "a"}]}
    items = [reasoning, {"role": "user", "content": "go on"}, reasoning]
    assert [message.role for message in messages(*items)] == ["user"]


def test_tools_and_their_names() -> None:
    request, offered = translate(tools=[WEATHER, SEARCH, CRM])
    assert isinstance(request.prompt, ChatPrompt)
    inner = {name: value for name, value in WEATHER.items() if name != "type"}
    assert list(request.prompt.tools) == [
        {"type": "function", "function": inner},
        {"type": "function", "function": {"name": "crm__find"}},
    ]
    assert offered.names == {"crm__find": ("crm", "find")}
    assert offered.ignored == {"tools.1": "web_search", "tools.2.tools.1": "custom"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", ())),
        ("auto", ("auto", ())),
        ("required", ("required", ())),
        ({"type": "function", "name": "weather"}, ("required", ("weather",))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "weather"}] * 2000,
            },
            ("auto", ("weather",)),
        ),
    ],
)
def test_tool_choice(choice: object, expected: tuple[str, tuple[str, ...]]) -> None:
    request, _ = translate(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
    assert (request.tool_choice, request.allowed_tools) == expected
    assert not request.parallel_tool_calls


def test_no_tools_are_offered_if_none_may_be_called() -> None:
    for tools in ([WEATHER], [SEARCH]):
        request, _ = translate(tools=tools, tool_choice="none")
        assert isinstance(request.prompt, ChatPrompt)
        assert request.prompt.tools == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [SEARCH]}, "tools.0"),
        ({"tools": [{"type": "local_shell"}]}, "tools.0"),
        ({"tools": [{"type": "custom", "name": "patch"}]}, "tools.0"),
        ({"tools": [WEATHER, WEATHER]}, "tools.1"),
        ({"tools": [CRM, WEATHER | {"name": "crm__find"}]}, "tools.1"),
        ({"tools": MANY}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"input": [{"type": "web_search_call"}]}, "input"),
        (
            {
                "instructions": "x",
                "input": [{"role": "user", "content": "a"}] * 4096,
            },
            "input",
        ),
    ],
)
def test_contradictions_name_their_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        translate(**fields)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ({"verbosity": "low"}, None),
        ({"format": {"type": "text"}}, None),
        ({"format": {"type": "json_object"}}, JsonObjectOutput()),
        (
            {"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}},
            JsonSchemaOutput(json_schema={}, strict=True),
        ),
    ],
)
def test_structured_output(text: object, expected: object) -> None:
    assert translate(text=text)[0].structured_output == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 2}, 2),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 3}, 3),
        ({"include": ["reasoning.encrypted_content"]}, None),
    ],
)
def test_logprobs(fields: dict[str, Any], expected: int | None) -> None:
    assert translate(**fields)[0].logprobs == expected


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (None, None),
        ({"summary": "auto"}, None),
        ({"effort": "none"}, "off"),
        ({"effort": "low"}, "if_supported"),
        ({"effort": "max"}, "if_supported"),
    ],
)
def test_reasoning_effort(reasoning: object, thinking: str | None) -> None:
    prompt = translate(reasoning=reasoning)[0].prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.thinking == thinking


def test_limits_and_sampling() -> None:
    request, _ = translate(
        max_output_tokens=9, temperature=0.5, top_p=0.5, truncation="auto", stream=True,
        presence_penalty=1.0, frequency_penalty=-1.0,
    )  # fmt: skip
    assert request.model_dump(exclude_defaults=True, exclude={"prompt", "fallback"}) == {
        "max_tokens": 9,
        "sampling": {
            "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1.0, "frequency_penalty": -1.0,
        },
        "truncate": True,
    }  # fmt: skip
    assert translate(top_p=0.0, temperature=1.0)[0].sampling == Sampling(temperature=0)


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ("prompt", "input"),
        ("prompt.messages", "input"),
        ("prompt.tools", "tools"),
        ("structured_output", "text.format"),
        ("sampling.temperature", "temperature"),
        ("max_tokens", "max_output_tokens"),
        ("tool_choice", "tool_choice"),
    ],
)
def test_wire_fields_have_their_names_in_the_request(wire: str, param: str) -> None:
    assert to_param(wire) == param
