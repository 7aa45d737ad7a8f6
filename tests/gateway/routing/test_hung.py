"""Replicas that are stopped or busy: their connections stay open, and probes get no response."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway.fake_inference import (
    FakeInference,
    fake_inference,
    finished,
    responding_with,
    started,
)
from gateway.harness import KEY, MODEL, Gateway, running_gateway, until
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

BODY: Mapping[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 9,
    "stream": True,
}
PATHS = ("/api/chat", "/v1/chat/completions", "/v1/messages")
FAST: dict[str, Any] = {"probe_timeout_seconds": 0.1}
FIRST_TOKENS = "time_to_first_token_seconds_count"

Scenario = Callable[[Gateway, list[FakeInference]], Awaitable[None]]


def serving(replicas: int, scenario: Scenario) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            fakes = [await stack.enter_async_context(fake_inference()) for _ in range(replicas)]
            gateway = await stack.enter_async_context(running_gateway(*fakes, **FAST))
            await scenario(gateway, fakes)

    asyncio.run(run())


def ready(gateway: Gateway) -> float:
    return gateway.sample("replicas_ready", model=KEY)


async def silent(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Accept nothing: the request waits for its status."""
    await asyncio.Event().wait()
    yield started()


async def stuck(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    await asyncio.Event().wait()


@pytest.mark.parametrize("path", PATHS)
def test_a_running_stream_ends_with_an_error_and_the_only_replica_stays(path: str) -> None:
    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        (fake,) = fakes
        fake.script = stuck
        pending = asyncio.create_task(gateway.post(path, BODY))
        await until(lambda: gateway.sample(FIRST_TOKENS, model=KEY) == 1)
        fake.hangs.set()
        status, _, text = await pending
        assert (status, "one" in text) == (200, True)
        lines = [line.removeprefix("data: ") for line in text.splitlines()]
        objects = [json.loads(line) for line in lines if line.startswith("{")]
        assert "error" in objects[-1]
        assert ready(gateway) == 1
        fake.hangs.clear()
        fake.script = responding_with("again")
        status, _, text = await gateway.post(path, BODY)
        assert (status, "again" in text) == (200, True)

    serving(1, scenario)


@pytest.mark.parametrize("path", PATHS)
def test_a_request_that_is_not_accepted_is_an_error_status(path: str) -> None:
    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        (fake,) = fakes
        fake.script = silent
        fake.hangs.set()
        status, _, text = await gateway.post(path, BODY)
        assert status == 502
        assert set(json.loads(text)) >= {"error"}
        assert ready(gateway) == 1

    serving(1, scenario)


def test_a_batch_of_embeddings_is_an_error_status() -> None:
    async def halfway(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        yield started()
        await asyncio.Event().wait()

    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        (fake,) = fakes
        fake.embed_script = halfway
        fake.hangs.set()
        status, _, _ = await gateway.post("/api/embed", {"model": MODEL, "input": "hi"})
        assert status == 502

    serving(1, scenario)


def test_the_hung_one_of_two_leaves_and_its_request_is_retried_on_the_other() -> None:
    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        hung, well = fakes
        for fake in fakes:
            fake.script = silent
        pending = asyncio.create_task(gateway.post("/api/chat", BODY))
        await until(lambda: len(hung.requests) + len(well.requests) == 1)
        if well.requests:
            hung, well = well, hung
        well.script = responding_with("from the other")
        hung.hangs.set()
        status, _, text = await pending
        assert (status, "from the other" in text) == (200, True)
        await until(lambda: ready(gateway) == 1)
        assert (await gateway.post("/api/chat", BODY))[0] == 200
        assert (len(hung.requests), len(well.requests)) == (1, 2)
        hung.hangs.clear()
        await until(lambda: ready(gateway) == 2)

    serving(2, scenario)


def test_one_of_two_hung_ones_stays() -> None:
    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        for fake in fakes:
            fake.hangs.set()
        await until(lambda: ready(gateway) == 1)
        probes = [fake.probes for fake in fakes]
        await until(lambda: all(f.probes > n + 3 for f, n in zip(fakes, probes, strict=True)))
        assert ready(gateway) == 1

    serving(2, scenario)


def test_a_replica_that_sends_events_is_busy_and_not_hung() -> None:
    over = asyncio.Event()

    async def busy(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        while not over.is_set():
            yield Text(text="x")
            await asyncio.sleep(0.005)
        yield finished(1)

    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        for fake in fakes:
            fake.script = busy
        pending = [asyncio.create_task(gateway.post("/api/chat", BODY)) for _ in fakes]
        await until(lambda: gateway.sample(FIRST_TOKENS, model=KEY) == 2)
        for fake in fakes:
            fake.hangs.set()
        probes = [fake.probes for fake in fakes]
        await until(lambda: all(f.probes > n + 3 for f, n in zip(fakes, probes, strict=True)))
        assert ready(gateway) == 2
        over.set()
        for status, _, text in await asyncio.gather(*pending):
            assert status == 200
            assert json.loads(text.splitlines()[-1])["done"] is True

    serving(2, scenario)


def test_a_gateway_that_is_late_itself_ejects_no_replica() -> None:
    async def scenario(gateway: Gateway, fakes: list[FakeInference]) -> None:
        probes = sum(fake.probes for fake in fakes)
        while sum(fake.probes for fake in fakes) < probes + 8:
            time.sleep(0.15)  # noqa: ASYNC251  # blocks the event loop for longer than a probe may
            await asyncio.sleep(0)
            assert ready(gateway) == 2

    serving(2, scenario)
