"""Requests to a replica of the release before, during a rolling upgrade."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.fake_inference import Refusal, fake_inference, responding_with
from gateway.harness import MODEL, running_gateway
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest

USER = [{"role": "user", "content": "hi"}]
FUNCTION = {"name": "f", "parameters": {}}
PLAIN = {"messages": USER, "max_tokens": 9}
TOOLS = [{"type": "function", "function": FUNCTION}]


async def older(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Reject the field that came with the streaming of tool calls."""
    if request.stream_tool_calls:
        message, field = "Extra inputs are not permitted", "stream_tool_calls"
        failure = Failure(code=ErrorCode.INVALID_REQUEST, message=message, param=field)
        raise Refusal(400, failure)
    async for event in responding_with("fine")(request):
        yield event


def stream(path: str, body: dict[str, Any]) -> tuple[int, str, list[bool]]:
    async def ask() -> tuple[int, str, list[bool]]:
        async with fake_inference(older) as fake, running_gateway(fake) as gateway:
            status, _, text = await gateway.post(path, {"model": MODEL, "stream": True} | body)
            return status, text, [request.stream_tool_calls for request in fake.requests]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"messages": USER}),
        ("/v1/chat/completions", PLAIN),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/messages", PLAIN),
        ("/v1/responses", {"input": "hi"}),
    ],
)
def test_a_stream_without_tools_uses_nothing_new(path: str, body: dict[str, Any]) -> None:
    status, text, asked = stream(path, body)
    assert (status, asked) == (200, [False])
    assert "fine" in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", PLAIN | {"tools": TOOLS}),
        ("/v1/messages", PLAIN | {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
        ("/v1/responses", {"input": "hi", "tools": [{"type": "function"} | FUNCTION]}),
    ],
)
def test_a_stream_with_tools_is_requested_again_in_the_older_form(
    path: str, body: dict[str, Any]
) -> None:
    status, text, asked = stream(path, body)
    assert (status, asked) == (200, [True, False])
    assert "fine" in text
