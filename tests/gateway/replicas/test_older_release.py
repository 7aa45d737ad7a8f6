"""Requests to a replica of the release before, during a rolling upgrade."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.embed_script import embedding
from gateway.fake_inference import Refusal, fake_inference, responding_with
from gateway.harness import MODEL, running_gateway
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest

USER = [{"role": "user", "content": "hi"}]
FUNCTION = {"name": "f", "parameters": {}}
PLAIN = {"messages": USER, "max_tokens": 9}
TOOLS = [{"type": "function", "function": FUNCTION}]


def refusal(field: str) -> Refusal:
    message = "Extra inputs are not permitted"
    return Refusal(400, Failure(code=ErrorCode.INVALID_REQUEST, message=message, param=field))


async def older(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Reject the field that came with the streaming of tool calls."""
    if request.stream_tool_calls:
        raise refusal("stream_tool_calls")
    async for event in responding_with("fine")(request):
        yield event


async def without_clients(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Reject the fields that came later than `older`, one by one."""
    if request.client is not None:
        raise refusal("client")
    async for event in older(request):
        yield event


async def embedding_without_clients(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
    if request.client is not None:
        raise refusal("client")
    async for event in embedding(request):
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


@pytest.mark.parametrize("tools", [[], TOOLS])
def test_a_replica_that_knows_no_clients_is_asked_again_without_any_newer_field(
    tools: list[Any],
) -> None:
    async def ask() -> None:
        async with fake_inference(without_clients) as fake, running_gateway(fake) as gateway:
            body = PLAIN | {"model": MODEL, "stream": True, "tools": tools}
            status, _, text = await gateway.post("/v1/chat/completions", body)
            assert (status, "fine" in text) == (200, True)
            first, again = fake.requests
            assert first.model_copy(update={"client": None, "stream_tool_calls": False}) == again

    asyncio.run(ask())


def test_so_is_one_that_embeds() -> None:
    async def ask() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            fake.embed_script = embedding_without_clients
            status, _, _ = await gateway.post("/api/embed", {"model": MODEL, "input": "hi"})
            assert status == 200
            first, again = fake.embed_requests
            assert first.model_copy(update={"client": None}) == again

    asyncio.run(ask())


def test_another_rejected_field_is_the_clients_error() -> None:
    async def rejects(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        raise refusal("temperature")
        yield

    async def ask() -> None:
        async with fake_inference(rejects) as fake, running_gateway(fake) as gateway:
            status, _, _ = await gateway.post("/v1/chat/completions", PLAIN | {"model": MODEL})
            assert (status, len(fake.requests)) == (400, 1)

    asyncio.run(ask())


def test_the_older_form_is_remembered() -> None:
    async def ask() -> None:
        async with fake_inference(without_clients) as fake, running_gateway(fake) as gateway:
            body = PLAIN | {"model": MODEL}
            for _ in range(3):
                assert (await gateway.post("/v1/chat/completions", body))[0] == 200
            without = [request.client is None for request in fake.requests]
            assert without == [False, True, True, True]

    asyncio.run(ask())
