"""Requests for a model that is loading, although no request has activated it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, fake_inference
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until
from gateway.routing.test_cancellation import disconnect

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "stream": False}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/chat", CHAT),
    ("/api/chat", {"model": MODEL, "messages": MESSAGES}),
    ("/api/chat", {"model": MODEL}),
    ("/api/generate", {"model": MODEL, "prompt": "hi"}),
    ("/api/generate", {"model": MODEL, "keep_alive": "5m"}),
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"stream": True}),
    ("/v1/completions", {"model": MODEL, "prompt": ["a", "b"]}),
]
Scenario = Callable[[FakeInference, Gateway], Awaitable[None]]


def loading(scenario: Scenario, **changes: Any) -> None:
    """Run a scenario with one replica that is loading."""

    async def run() -> None:
        async with fake_inference() as replica:
            replica.ready, replica.state = False, "loading"
            models = catalog(replica.url)
            async with running_gateway(models=models, wait=False, **changes) as gateway:
                await until(lambda: replica.probes > 1)
                await scenario(replica, gateway)

    asyncio.run(run())


def queued(gateway: Gateway) -> float:
    return gateway.sample("requests_queued", model=KEY)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_request_is_held_until_the_model_is_ready(path: str, body: dict[str, Any]) -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        pending = asyncio.create_task(gateway.post(path, body))
        await until(lambda: queued(gateway) == 1)
        assert replica.requests == []
        replica.ready = True
        status, _, text = await pending
        assert (status, '"error"' in text, queued(gateway)) == (200, False, 0)

    loading(scenario)


def test_the_time_of_waiting_is_load_duration() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: queued(gateway) == 1)
        replica.ready = True
        body = json.loads((await pending)[2])
        waited = gateway.sample("queue_duration_seconds_sum", model=KEY) * 1e9
        assert 0 < waited <= body["load_duration"] + 1 < body["total_duration"]

    loading(scenario)


def test_a_replica_that_does_not_respond_yet_is_waited_for() -> None:
    """`sizeup up` starts the gateway before the processes listen."""

    async def scenario() -> None:
        async with fake_inference() as replica:
            await replica.stop()
            models = catalog(replica.url)
            async with running_gateway(models=models, wait=False) as gateway:
                pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
                await until(lambda: queued(gateway) == 1)
                await replica.start()
                assert (await pending)[0] == 200

    asyncio.run(scenario())


def test_the_queue_is_bounded() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        pending = [asyncio.create_task(gateway.post("/api/chat", CHAT)) for _ in range(2)]
        await until(lambda: queued(gateway) == 2)
        for path in ("/api/chat", "/v1/chat/completions"):
            status, headers, _ = await gateway.post(path, CHAT)
            assert (status, headers["Retry-After"]) == (429, "1")
        replica.ready = True
        assert [status for status, _, _ in await asyncio.gather(*pending)] == [200, 200]

    loading(scenario, activation_queue=2)


def test_the_wait_is_bounded() -> None:
    async def scenario(_replica: FakeInference, gateway: Gateway) -> None:
        for path, body in REQUESTS:
            status, headers, text = await gateway.post(path, body)
            assert (status, headers["Retry-After"]) == (503, "2")
            assert f"model '{MODEL}' is loading" in text
        assert queued(gateway) == 0

    loading(scenario, activation_seconds=0.05)


@pytest.mark.parametrize("state", ["failed", "dead", "stalled"])
def test_a_model_that_fails_ends_the_wait(state: str) -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        pending = asyncio.create_task(gateway.post("/v1/chat/completions", CHAT))
        await until(lambda: queued(gateway) == 1)
        replica.state = state
        status, _, text = await pending
        assert (status, json.loads(text)["error"]["code"]) == (503, "model_not_ready")
        assert "has failed" in text
        assert (await gateway.post("/api/chat", CHAT))[0] == 503
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 1
        replica.state = "loading"
        await until(lambda: gateway.sample("model_state", model=KEY, state="loading") == 1)
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: queued(gateway) == 1)
        replica.ready = True
        assert (await pending)[0] == 200

    loading(scenario)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_model_without_replicas_is_not_waited_for(path: str, body: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with running_gateway(models=catalog(), wait=False) as gateway:
            assert (await gateway.post(path, body))[0] == 503
            assert gateway.sample("queue_duration_seconds_count", model=KEY) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_waiting_can_be_switched_off(path: str, body: dict[str, Any]) -> None:
    async def scenario(_replica: FakeInference, gateway: Gateway) -> None:
        assert (await gateway.post(path, body))[0] == 503
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 0

    loading(scenario, queue_while_loading=False)


def test_a_disconnected_client_leaves_the_queue() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        for path in ("/api/chat", "/v1/chat/completions"):
            await disconnect(gateway, path, CHAT, lambda: queued(gateway) == 1)
            await until(lambda: queued(gateway) == 0)
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: queued(gateway) == 1)
        replica.ready = True
        assert (await pending)[0] == 200
        assert len(replica.requests) == 1

    loading(scenario, activation_queue=1)


def test_a_comparison_reports_what_it_waits_for_instead() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        body = {"models": [MODEL], "prompt": "hi"}
        async with gateway.http.post(gateway.url + "/api/compare", json=body) as response:
            async for line in response.content:
                chunk = json.loads(line)
                if chunk.get("status") == "loading":
                    assert queued(gateway) == 0
                    replica.ready = True
            assert chunk["compare"]["answered"] == 1
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 0

    loading(scenario)
