"""A model whose replicas accept no more: refusals before any other work, and shares of clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, fake_inference, finished, model_info, started
from gateway.harness import MODEL, Gateway, running_gateway, until
from sizeup_wire.events import Event, FinishReason, Text
from sizeup_wire.generate import GenerateRequest

MESSAGES = [{"role": "user", "content": "hi"}]
BODY: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 9, "stream": False}
INVALID: dict[str, Any] = {
    "model": MODEL,
    "messages": MESSAGES,
    "prompt": "x",
    "input": 5,
    "seed": "x",
    "options": {"seed": "x"},
}
CAPACITY = 16
OLLAMA = {"error": "server busy, please try again.  maximum pending requests exceeded"}
OPENAI = {"type": "rate_limit_exceeded", "code": "rate_limit_exceeded"}

Scenario = Callable[[Gateway, FakeInference, asyncio.Event], Awaitable[None]]


def holding(scenario: Scenario, capacity: int = CAPACITY, **settings: Any) -> None:
    """Serve a replica of this capacity whose responses end once the event is set."""
    over = asyncio.Event()

    async def script(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        await over.wait()
        yield finished(1, *[FinishReason.STOP] * request.n)

    async def run() -> None:
        info = model_info().model_copy(update={"max_requests": capacity})
        async with (
            fake_inference(script, info) as fake,
            running_gateway(fake, **settings) as gateway,
        ):
            await scenario(gateway, fake, over)

    asyncio.run(run())


async def fill(
    gateway: Gateway, fake: FakeInference, number: int, **headers: str
) -> list[asyncio.Task[Any]]:
    """Send requests, and wait until the replica has them."""
    had = len(fake.requests)
    tasks = [asyncio.create_task(gateway.post("/api/chat", BODY, **headers)) for _ in range(number)]
    await until(lambda: len(fake.requests) == had + number)
    return tasks


async def all_served(tasks: list[asyncio.Task[Any]], over: asyncio.Event) -> None:
    over.set()
    assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}


@pytest.mark.parametrize(
    ("path", "status", "fields"),
    [
        ("/api/chat", 503, OLLAMA),
        ("/api/generate", 503, OLLAMA),
        ("/api/embed", 503, OLLAMA),
        ("/v1/chat/completions", 429, OPENAI),
        ("/v1/completions", 429, OPENAI),
        ("/v1/responses", 429, OPENAI),
        ("/v1/embeddings", 429, OPENAI),
        ("/v1/messages", 529, {"type": "overloaded_error"}),
    ],
)
def test_a_full_model_refuses_before_it_validates(
    path: str, status: int, fields: dict[str, str]
) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, over: asyncio.Event) -> None:
        tasks = await fill(gateway, fake, 14)
        got, headers, text = await gateway.post(path, INVALID)
        assert (got, headers["Retry-After"]) == (status, "1")
        body = json.loads(text)
        assert (body if "error" in fields else body["error"]).items() >= fields.items()
        assert len(fake.requests) == 14
        await all_served(tasks, over)
        assert (await gateway.post(path, INVALID))[0] == 400

    holding(scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"keep_alive": 0}),
        ("/api/chat", {"messages": []}),
        ("/api/generate", {"keep_alive": "5m"}),
        ("/api/generate", {"prompt": ""}),
        ("/api/embed", {"input": ""}),
    ],
)
def test_a_full_model_can_be_loaded_and_unloaded(path: str, body: dict[str, Any]) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, over: asyncio.Event) -> None:
        tasks = await fill(gateway, fake, 14)
        assert (await gateway.post(path, {"model": MODEL} | body))[0] == 200
        await all_served(tasks, over)

    holding(scenario)


def test_one_client_leaves_places_to_a_second_one(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("greedy\npolite\n", encoding="utf-8")
    keys.chmod(0o600)
    greedy, polite = ({"Authorization": f"Bearer {name}"} for name in ("greedy", "polite"))

    async def scenario(gateway: Gateway, fake: FakeInference, over: asyncio.Event) -> None:
        tasks = await fill(gateway, fake, 14, **greedy)
        assert (await gateway.post("/api/chat", BODY, **greedy))[0] == 503
        tasks += await fill(gateway, fake, 2, **polite)
        assert (await gateway.post("/api/chat", BODY, **polite))[0] == 503
        await all_served(tasks, over)

    holding(scenario, api_keys_file=keys)


def test_choices_and_prompts_take_a_place_each() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, over: asyncio.Event) -> None:
        body = {"model": MODEL, "prompt": ["a", "b", "c"], "n": 4}
        several = asyncio.create_task(gateway.post("/v1/completions", body))
        await until(lambda: len(fake.requests) == 3)
        tasks = await fill(gateway, fake, 2)
        assert (await gateway.post("/api/chat", BODY))[0] == 503
        await all_served([several, *tasks], over)
        assert (await gateway.post("/v1/completions", body | {"n": 1}))[0] == 200

    holding(scenario)


def test_a_place_is_free_once_its_client_disconnects() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, over: asyncio.Event) -> None:
        tasks = await fill(gateway, fake, 14)
        tasks.pop().cancel()
        await until(lambda: fake.cancelled == 1)
        tasks += await fill(gateway, fake, 1)
        await all_served(tasks, over)

    holding(scenario)


def test_a_replica_that_reports_no_capacity_decides_itself() -> None:
    async def run() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            tasks = [gateway.post("/api/chat", BODY) for _ in range(100)]
            assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}

    asyncio.run(run())
