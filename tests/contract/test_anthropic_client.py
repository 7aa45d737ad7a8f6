"""The official Anthropic client, unmodified, over real sockets, and requests as Claude Code's."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from contract.tool_loop import CALL, tool_loop
from gateway.api.anthropic.parsing import parse, whole
from gateway.fake_inference import (
    TOKENS,
    FakeInference,
    Script,
    events,
    fake_inference,
    finished,
    model_info,
    started,
)
from gateway.harness import MODEL, background_gateway, running_gateway
from sizeup_wire.events import (
    Event,
    Text,
    ToolCall,
)
from sizeup_wire.generate import ChatPrompt, GenerateRequest, JsonSchemaOutput

TEXT = "".join(TOKENS)
MESSAGES: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "name": "weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]

Scenario = Callable[[anthropic.AsyncAnthropic], Awaitable[None]]


def run(scenario: Scenario, script: Script | None = None) -> list[GenerateRequest]:
    async def all_of_it() -> list[GenerateRequest]:
        info = model_info(capabilities=("completion", "tools", "thinking"))
        async with fake_inference(script, info) as fake, running_gateway(fake) as gateway:
            client = anthropic.AsyncAnthropic(base_url=gateway.url, api_key="x", max_retries=0)
            async with client:
                await scenario(client)
            return fake.requests

    return asyncio.run(all_of_it())


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message() -> None:
    async def scenario(client: anthropic.AsyncAnthropic) -> None:
        message = await client.messages.create(model=MODEL, max_tokens=9, messages=MESSAGES)
        Message.model_validate(message.model_dump())
        assert message.id.startswith("msg_")
        assert (message.model, message.role, text_of(message)) == (MODEL, "assistant", TEXT)
        assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (5, 2)
        assert message._request_id

    (request,) = run(scenario)
    assert request.max_tokens == 9
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.thinking == "off"


def test_a_blocking_client() -> None:
    with (
        background_gateway(FakeInference) as url,
        anthropic.Anthropic(base_url=url, api_key="x", max_retries=0) as client,
    ):
        message = client.messages.create(model=MODEL, max_tokens=9, messages=MESSAGES)
        assert text_of(message) == TEXT
        with client.messages.stream(model=MODEL, max_tokens=9, messages=MESSAGES) as stream:
            assert "".join(stream.text_stream) == TEXT
            assert text_of(stream.get_final_message()) == TEXT
        count = client.messages.count_tokens(model=MODEL, messages=MESSAGES, tools=TOOLS)
        assert count.input_tokens == 2
        with pytest.raises(anthropic.NotFoundError) as raised:
            client.messages.create(model="unknown", max_tokens=9, messages=MESSAGES)
        assert raised.value.type == "not_found_error"
        assert raised.value.request_id


@pytest.mark.parametrize("calls", [CALL, CALL[-1:]], ids=["streamed", "whole"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_loop(calls: list[Event], streams: bool) -> None:
    async def ask(client: anthropic.AsyncAnthropic, turns: Any) -> Any:
        fields: Any = {
            "model": MODEL,
            "max_tokens": 2000,
            "messages": turns,
            "tools": TOOLS,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        }
        if not streams:
            return await client.messages.create(**fields)
        async with client.messages.stream(**fields) as stream:
            return await stream.get_final_message()

    async def scenario(client: anthropic.AsyncAnthropic) -> None:
        first = await ask(client, MESSAGES)
        assert first.stop_reason == "tool_use"
        assert [block.type for block in first.content] == ["thinking", "text", "tool_use"]
        use = first.content[-1]
        assert (use.id, use.name, use.input) == ("call_1", "weather", {"city": "北京"})
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
        turns = [
            *MESSAGES,
            {"role": "assistant", "content": [block.model_dump() for block in first.content]},
            {"role": "user", "content": [result]},
        ]
        assert text_of(await ask(client, turns)) == "weather: sunny"

    first, second = run(scenario, tool_loop(*calls, before="let me see"))
    assert first.stream_tool_calls is streams
    assert isinstance(second.prompt, ChatPrompt)
    _, assistant, tool = second.prompt.messages
    assert (assistant.content, assistant.thinking) == ("let me see", "a tool would help")
    assert assistant.tool_calls[0].arguments == {"city": "北京"}
    assert (tool.name, tool.content) == ("weather", "sunny")


@pytest.mark.parametrize("streams", [False, True])
def test_a_stop_sequence_is_named(streams: bool) -> None:
    end = finished(2).model_copy(update={"stop_strings": ("END",)})

    async def scenario(client: anthropic.AsyncAnthropic) -> None:
        fields: Any = {
            "model": MODEL,
            "max_tokens": 9,
            "messages": MESSAGES,
            "stop_sequences": ["END", "STOP"],
        }
        if streams:
            async with client.messages.stream(**fields) as stream:
                message: Message = await stream.get_final_message()
        else:
            message = await client.messages.create(**fields)
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")

    (request,) = run(scenario, events(started(), Text(text="a"), end))
    assert request.stop == ("END", "STOP")


def test_a_structured_answer() -> None:
    async def scenario(client: anthropic.AsyncAnthropic) -> None:
        message = await client.messages.create(
            model=MODEL,
            max_tokens=9,
            messages=MESSAGES,
            output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        )
        assert text_of(message) == TEXT

    (request,) = run(scenario)
    assert request.structured_output == JsonSchemaOutput(
        json_schema={"type": "object"}, strict=True
    )


def test_an_error_within_a_stream() -> None:
    async def scenario(client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(anthropic.APIStatusError) as raised:
            async with client.messages.stream(
                model=MODEL, max_tokens=9, messages=MESSAGES
            ) as stream:
                await stream.get_final_message()
        assert raised.value.type == "api_error"

    run(scenario, events(started(), Text(text="a")))


def claude_code_request(turns: list[Any]) -> dict[str, Any]:
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tools = [
        {
            "name": name,
            "description": "Reads a file. " * 200,
            "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"file_path": {"type": "string"}, "limit": {"type": "number"}},
                "required": ["file_path"],
                "additionalProperties": False,
            },
            "eager_input_streaming": True,
        }
        for name in ("Bash", "Edit", "Read")
    ]
    return {
        "model": MODEL,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=9f3c1;"},
            {"type": "text", "text": "You are Claude Code.", **cached},
            {"type": "text", "text": "Be brief.", **cached},
        ],
        "messages": turns,
        "tools": [*tools, {"type": "web_search_20250305", "name": "web_search"}],
        "metadata": {"user_id": '{"device_id": "1"}'},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
    }


def test_claude_code_asks_for_a_title() -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }

    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            body = claude_code_request([{"role": "user", "content": "hi"}])
            config = {"effort": "high", "format": {"type": "json_schema", "schema": schema}}
            body |= {"tools": [], "output_config": config}
            status, _, _ = await gateway.post("/v1/messages?beta=true", body)
            assert status == 200
            assert fake.requests[0].structured_output == JsonSchemaOutput(
                json_schema=schema, strict=True
            )

    asyncio.run(scenario())


def test_a_tool_loop_of_claude_code() -> None:
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "x-api-key": "x",
    }
    call = ToolCall(index=0, id="call_1", name="Read", arguments={"file_path": "a"})
    question = [
        {"type": "text", "text": "<system-reminder>"},
        {"type": "text", "text": "What is in a?", "cache_control": {"type": "ephemeral"}},
    ]
    turns: list[Any] = [
        {"role": "user", "content": question},
        {"role": "system", "content": "Available agent types"},
    ]

    async def scenario() -> list[GenerateRequest]:
        info = model_info(capabilities=("completion", "tools", "thinking"))
        async with (
            fake_inference(tool_loop(call, before="let me see"), info) as fake,
            running_gateway(fake) as gateway,
        ):
            path, query = "/v1/messages", "?beta=true"
            status, got, text = await gateway.post(
                path + query, claude_code_request(turns), **headers
            )
            assert status == 200
            assert got["X-Sizeup-Ignored-Tools"] == "tools.3"
            first = whole(parse(text))
            assert first["stop_reason"] == "tool_use"
            result = {
                "type": "tool_result",
                "tool_use_id": first["content"][-1]["id"],
                "content": [{"type": "text", "text": "42"}],
                "cache_control": {"type": "ephemeral"},
            }
            history = [
                *turns,
                {"role": "assistant", "content": first["content"]},
                {"role": "user", "content": [result, {"type": "text", "text": "<reminder>"}]},
            ]
            _, _, text = await gateway.post(path + query, claude_code_request(history), **headers)
            second = whole(parse(text))
            assert second["content"][-1]["text"] == "Read: 42"
            assert second["stop_reason"] == "end_turn"
            body = {k: v for k, v in claude_code_request(history).items() if k != "stream"}
            status, _, text = await gateway.post(f"{path}/count_tokens{query}", body)
            assert (status, json.loads(text)) == (200, {"input_tokens": 2})
            return fake.requests

    _, second = asyncio.run(scenario())
    assert isinstance(second.prompt, ChatPrompt)
    assert [tool["function"]["name"] for tool in second.prompt.tools] == ["Bash", "Edit", "Read"]
    assert [message.role for message in second.prompt.messages] == [
        "system", "user", "system", "assistant", "tool", "user",
    ]  # fmt: skip
    assert second.prompt.messages[0].content == "You are Claude Code.\nBe brief."
    assert second.prompt.thinking == "if_supported"
