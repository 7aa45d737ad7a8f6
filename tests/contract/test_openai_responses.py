"""The Responses API with the official OpenAI client, and as Codex uses it."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from contract.openai_session import TEXT, run
from contract.tool_loop import CALL, tool_loop
from gateway.api.openai.responses_api.parsing import parse
from gateway.fake_inference import (
    FakeInference,
    events,
    fake_inference,
    finished,
    model_info,
    responding_with,
    started,
)
from gateway.harness import MODEL, background_gateway, running_gateway
from sizeup_wire.events import (
    Event,
    FinishReason,
    Text,
    TokenLogprob,
    ToolCall,
)
from sizeup_wire.generate import ChatPrompt, GenerateRequest, JsonSchemaOutput

TOOLS: Any = [
    {
        "type": "function",
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": False,
    }
]


def test_a_response() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        response = await client.responses.create(
            model=MODEL, input="hi", instructions="be kind", metadata={"a": "b"}
        )
        Response.model_validate(response.model_dump())
        assert response.output_text == TEXT
        assert (response.status, response.error, response.incomplete_details) == (
            "completed",
            None,
            None,
        )
        assert (response.instructions, response.metadata) == ("be kind", {"a": "b"})
        assert response.usage is not None
        assert response.usage.input_tokens == 7
        assert response.usage.input_tokens_details.cached_tokens == 2

    run(scenario)


def test_the_keys_of_a_response_are_all_there() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        raw = await client.responses.with_raw_response.create(model=MODEL, input="hi")
        keys = {
            "id", "object", "created_at", "status", "error", "incomplete_details", "instructions",
            "model", "tools", "output", "parallel_tool_calls", "metadata", "tool_choice",
            "temperature", "top_p", "completed_at", "previous_response_id", "truncation", "text",
            "presence_penalty", "frequency_penalty", "top_logprobs", "reasoning", "usage",
            "max_output_tokens", "max_tool_calls", "store", "background", "service_tier",
            "safety_identifier", "prompt_cache_key",
        }  # fmt: skip
        assert keys <= json.loads(raw.text).keys()

    run(scenario)


def test_a_blocking_client() -> None:
    with (
        background_gateway(FakeInference) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert client.responses.create(model=MODEL, input="hi").output_text == TEXT
        with client.responses.stream(model=MODEL, input="hi") as stream:
            deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
            assert "".join(deltas) == stream.get_final_response().output_text == TEXT
        assert client.responses.input_tokens.count(model=MODEL, input="hi").input_tokens == 2
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_1")
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model=MODEL, input="hi", previous_response_id="resp_1")


def test_the_stream_helper_builds_the_whole_response() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        async with client.responses.stream(model=MODEL, input="hi", tools=TOOLS) as stream:
            kinds = [event.type async for event in stream]
            response = await stream.get_final_response()
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        reasoning, call = response.output
        assert (reasoning.type, call.type) == ("reasoning", "function_call")
        assert call.type == "function_call"
        assert (call.call_id, call.name, call.arguments) == (
            "call_1",
            "weather",
            '{"city": "北京"}',
        )

    run(scenario, tool_loop(*CALL), capabilities=("completion", "tools", "thinking"))


@pytest.mark.parametrize("calls", [CALL, CALL[-1:]], ids=["streamed", "whole"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(calls: list[Event], stream: bool) -> None:
    async def ask(client: openai.AsyncOpenAI, items: Any) -> Response:
        if not stream:
            return await client.responses.create(
                model=MODEL, input=items, tools=TOOLS, include=["reasoning.encrypted_content"]
            )
        async with client.responses.stream(
            model=MODEL, input=items, tools=TOOLS, include=["reasoning.encrypted_content"]
        ) as events:
            return await events.get_final_response()

    async def scenario(client: openai.AsyncOpenAI) -> None:
        items: list[Any] = [{"role": "user", "content": "weather?"}]
        first = await ask(client, items)
        items += [item.model_dump(exclude={"parsed_arguments"}) for item in first.output]
        items.append({"type": "function_call_output", "call_id": "call_1", "output": "sunny"})
        second = await ask(client, items)
        assert second.output_text == "weather: sunny"

    script = tool_loop(*calls)
    _, second = run(scenario, script, capabilities=("completion", "tools", "thinking"))
    assert isinstance(second.prompt, ChatPrompt)
    assistant = second.prompt.messages[1]
    assert assistant.thinking == "a tool would help"
    assert assistant.tool_calls[0].arguments == {"city": "北京"}


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("stream", [False, True])
def test_a_structured_answer(stream: bool) -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        city = City(name="北京", people=1)
        if stream:
            async with client.responses.stream(model=MODEL, input="hi", text_format=City) as events:
                assert (await events.get_final_response()).output_parsed == city
        else:
            response = await client.responses.parse(model=MODEL, input="hi", text_format=City)
            assert response.output_parsed == city

    (request,) = run(scenario, responding_with('{"name": "北京",', ' "people": 1}'))
    assert isinstance(request.structured_output, JsonSchemaOutput)
    assert request.structured_output.strict
    assert isinstance(request.structured_output.json_schema, dict)
    assert set(request.structured_output.json_schema["properties"]) == {"name", "people"}


def test_logprobs() -> None:
    token = TokenLogprob(token="好", bytes=tuple("好".encode()), logprob=-0.1)
    script = events(started(), Text(text="好", logprobs=(token,)), finished(1))

    async def scenario(client: openai.AsyncOpenAI) -> None:
        response = await client.responses.create(
            model=MODEL, input="hi", include=["message.output_text.logprobs"], top_logprobs=2
        )
        (message,) = response.output
        assert message.type == "message"
        (part,) = message.content
        assert part.type == "output_text"
        assert part.logprobs is not None
        assert [(one.token, one.logprob) for one in part.logprobs] == [("好", -0.1)]

    (request,) = run(scenario, script)
    assert request.logprobs == 2


def test_a_limit_makes_the_response_incomplete() -> None:
    script = responding_with("a", reason=FinishReason.LENGTH)

    async def scenario(client: openai.AsyncOpenAI) -> None:
        response = await client.responses.create(model=MODEL, input="hi", max_output_tokens=1)
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"
        stream = await client.responses.create(
            model=MODEL, input="hi", max_output_tokens=1, stream=True
        )
        assert [event.type async for event in stream][-1] == "response.incomplete"

    run(scenario, script)


CODEX_TOOLS = [
    {
        "type": "function",
        "name": "exec_command",
        "description": "Runs a command in a PTY.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
            "required": ["cmd"],
            "additionalProperties": False,
        },
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Use it to edit files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch"},
    },
    {
        "type": "namespace",
        "name": "mcp__files",
        "description": "Tools of an MCP server.",
        "tools": [
            {
                "type": "function",
                "name": "read",
                "description": "Read a file.",
                "strict": False,
                "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
            }
        ],
    },
    {"type": "web_search", "external_web_access": False},
    {"type": "image_generation", "output_format": "png"},
]


def codex_request(items: list[Any]) -> dict[str, Any]:
    return {
        "model": MODEL,
        "input": items,
        "tools": CODEX_TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01996f6e",
        "client_metadata": {"x-codex-installation-id": "1"},
    }


def codex_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as Codex sends it back."""
    return item | {"content": None} if item["type"] == "reasoning" else item


def test_a_tool_loop_of_codex() -> None:
    call = ToolCall(index=0, id="call_1", name="mcp__files__read", arguments={"path": "a"})
    items: list[Any] = [
        {
            "type": "message",
            "role": role,
            "content": [{"type": "input_text", "text": text}],
        }
        for role, text in (
            ("developer", "You are Codex."),
            ("developer", "<skills_instructions>"),
            ("user", "<environment_context>"),
            ("user", "What is in a?"),
        )
    ]

    async def scenario() -> list[GenerateRequest]:
        info = model_info(capabilities=("completion", "tools", "thinking"))
        async with fake_inference(tool_loop(call), info) as fake, running_gateway(fake) as gateway:
            status, headers, text = await gateway.post("/v1/responses", codex_request(items))
            assert status == 200
            assert headers["X-Sizeup-Ignored-Tools"] == "tools.1, tools.3, tools.4"
            done = [e["item"] for e in parse(text) if e["type"] == "response.output_item.done"]
            assert [(item["type"], item.get("namespace")) for item in done] == [
                ("reasoning", None),
                ("function_call", "mcp__files"),
            ]
            assert done[0]["summary"] == [{"type": "summary_text", "text": "a tool would help"}]
            result = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
            history = [*items, *map(codex_item, done), result]
            _, _, text = await gateway.post("/v1/responses", codex_request(history))
            last = parse(text)[-1]
            assert last["type"] == "response.completed"
            assert last["response"]["output"][0]["content"][0]["text"] == "mcp__files__read: 42"
            return fake.requests

    _, second = asyncio.run(scenario())
    assert isinstance(second.prompt, ChatPrompt)
    assert [tool["function"]["name"] for tool in second.prompt.tools] == [
        "exec_command",
        "mcp__files__read",
    ]
    system, _, _, assistant, tool = second.prompt.messages
    assert system.content == "You are Codex.\n\n<skills_instructions>"
    assert assistant.thinking == "a tool would help"
    assert assistant.tool_calls[0].name == tool.name == "mcp__files__read"
