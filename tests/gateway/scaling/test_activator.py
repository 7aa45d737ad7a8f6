"""Scale from zero: the queue, its deadlines, and the load on the API server."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import DEPLOYMENT, FakeDeployment, fake_deployment, gateway_on, placed
from gateway.fake_inference import FakeInference, refusing
from gateway.harness import KEY, MODEL, Gateway, until
from gateway.routing.test_cancellation import disconnect
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
Scenario = Callable[[FakeDeployment, Gateway], Awaitable[None]]


@pytest.fixture(autouse=True)
def _checks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.scaling.activator._CHECK_SECONDS", 0.2)


def scaling(folder: Path, scenario: Scenario, **changes: Any) -> None:
    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, folder, **changes) as gateway,
        ):
            await scenario(deployment, gateway)

    asyncio.run(run())


def queued(gateway: Gateway) -> float:
    return gateway.sample("requests_queued", model=KEY)


def activations(gateway: Gateway, outcome: str) -> float:
    return gateway.sample("activations_total", model=KEY, outcome=outcome)


async def state(gateway: Gateway) -> str:
    _, body = await gateway.get("/v1/models")
    found: str = body["data"][0]["state"]
    return found


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_the_first_request_activates_the_model(tmp_path: Path, path: str) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        assert await state(gateway) == "unloaded"
        assert (await gateway.get("/api/ps"))[1] == {"models": []}
        pending = asyncio.create_task(gateway.post(path, CHAT))
        await until(lambda: bool(deployment.pods))
        assert (queued(gateway), await state(gateway)) == (1, "loading")
        (process,) = (await gateway.get("/api/ps"))[1]["models"]
        assert (process["name"], process["state"]) == (MODEL, "loading")
        assert not deployment.pod.requests
        deployment.starts.set()
        assert (await pending)[0] == 200
        assert (queued(gateway), await state(gateway)) == (0, "ready")
        assert deployment.cluster.writes == [(DEPLOYMENT, 1)]
        assert activations(gateway, "scaled") == 1
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 1

    scaling(tmp_path, scenario)


def test_time_in_the_queue_counts_as_load_duration(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        _, _, cold = await gateway.post("/api/chat", CHAT)
        _, _, warm = await gateway.post("/api/chat", CHAT)
        spent = gateway.sample("queue_duration_seconds_sum", model=KEY) * 1e9
        load, total = json.loads(cold)["load_duration"], json.loads(cold)["total_duration"]
        assert 0 < spent <= load + 1 < total  # rounded to nanoseconds
        assert 0 < json.loads(warm)["load_duration"] < load  # finding a replica takes time, too

    scaling(tmp_path, scenario)


def test_many_requests_cause_one_scale_up(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        pending = [asyncio.create_task(gateway.post("/api/chat", CHAT)) for _ in range(80)]
        await until(lambda: queued(gateway) == 80)
        deployment.starts.set()
        assert {status for status, _, _ in await asyncio.gather(*pending)} == {200}
        assert deployment.cluster.writes == [(DEPLOYMENT, 1)]
        assert deployment.cluster.scale_reads < 10
        assert len(deployment.pod.requests) == 80

    scaling(tmp_path, scenario)


def test_two_gateways_cause_one_scale_up(tmp_path: Path) -> None:
    """Both read a scale of 0 before either writes."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(fake_deployment())
            deployment.starts.clear()
            both = asyncio.Barrier(2)

            async def wait_for_the_other() -> None:
                deployment.cluster.before_write = None if both.n_waiting else wait_for_the_other
                await both.wait()

            deployment.cluster.before_write = wait_for_the_other
            gateways = [
                await stack.enter_async_context(gateway_on(deployment, tmp_path)) for _ in range(2)
            ]
            pending = [
                asyncio.create_task(gateway.post("/api/chat", CHAT))
                for gateway in gateways
                for _ in range(50)
            ]
            await until(lambda: [queued(gateway) for gateway in gateways] == [50, 50])
            await until(lambda: deployment.cluster.conflicts == 1)
            deployment.starts.set()
            assert {status for status, _, _ in await asyncio.gather(*pending)} == {200}
            assert deployment.cluster.writes == [(DEPLOYMENT, 1)]
            assert sum(activations(gateway, "scaled") for gateway in gateways) == 1
            assert sum(activations(gateway, "present") for gateway in gateways) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "reported"),
    [
        (
            "/api/chat",
            {"error": "server busy, please try again.  maximum pending requests exceeded"},
        ),
        (
            "/v1/chat/completions",
            {
                "error": {
                    "message": "too many concurrent requests, please try again",
                    "type": "rate_limit_exceeded",
                    "param": None,
                    "code": "rate_limit_exceeded",
                }
            },
        ),
    ],
)
def test_requests_beyond_the_queue_are_rejected_at_once(
    tmp_path: Path, path: str, reported: dict[str, object]
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        pending = [asyncio.create_task(gateway.post(path, CHAT)) for _ in range(3)]
        await until(lambda: queued(gateway) == 3)
        status, headers, text = await gateway.post(path, CHAT)
        assert (status, headers["Retry-After"], json.loads(text)) == (429, "1", reported)
        deployment.starts.set()
        assert {status for status, _, _ in await asyncio.gather(*pending)} == {200}

    scaling(tmp_path, scenario, activation_queue=3)


@pytest.mark.parametrize(
    ("reported", "description"),
    [(None, "is loading"), ("downloading", "is downloading"), ("failed", "has failed")],
)
def test_at_the_deadline_the_error_has_the_state_of_the_model(
    tmp_path: Path, reported: str | None, description: str
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        deployment.cluster.on_scale = None
        pod = FakeInference()
        pod.state = reported
        await deployment.add_pod(pod)
        await until(lambda: pod.probes > 1)
        status, headers, text = await gateway.post("/api/chat", CHAT)
        assert (status, headers["Retry-After"]) == (503, "2")
        assert json.loads(text) == {"error": f"model '{MODEL}' {description}, please try again"}
        status, _, text = await gateway.post("/v1/chat/completions", CHAT)
        assert (status, json.loads(text)["error"]["code"]) == (503, "model_not_ready")
        assert queued(gateway) == 0
        assert await state(gateway) == (reported or "loading")
        shown = (await gateway.get("/v1/models"))[1]["data"][0].get("progress")
        assert shown == (0.5 if reported else None)

    scaling(tmp_path, scenario, activation_seconds=0.2)


def test_a_disconnect_while_queued_frees_the_slot(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        for path in ("/api/chat", "/api/generate"):
            body = {"model": MODEL, "messages": CHAT["messages"]}
            await disconnect(gateway, path, body, lambda: queued(gateway) == 1)
            await until(lambda: queued(gateway) == 0)
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: queued(gateway) == 1)
        deployment.starts.set()
        assert (await pending)[0] == 200
        assert len(deployment.pod.requests) == 1

    scaling(tmp_path, scenario, activation_queue=1)


def test_a_request_waits_again_after_losing_its_replica(tmp_path: Path) -> None:
    """More replicas than the retries of a request without an activation."""

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.cluster.add_deployment(DEPLOYMENT, 1)
        await deployment.add_pod(leaving(deployment, 2))
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        requests = [len(pod.requests) for pod in deployment.pods.values()]
        assert requests == [1, 1, 1, 1]
        assert gateway.sample("queue_duration_seconds_count", model=KEY) >= 3

    def leaving(deployment: FakeDeployment, more: int) -> FakeInference:
        """Create a pod that rejects its first request, and is replaced by pods that do the same."""
        pod = FakeInference()

        async def script(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            pod.ready = False
            await deployment.add_pod(leaving(deployment, more - 1) if more else FakeInference())
            async for event in refusing(ErrorCode.DRAINING, 503, "draining")(request):
                yield event

        pod.script = script
        return pod

    scaling(tmp_path, scenario)


def test_an_unreachable_api_server_is_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        await deployment.cluster.stop()
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: activations(gateway, "failed") >= 1)
        await deployment.cluster.start()
        assert (await pending)[0] == 200
        assert deployment.cluster.writes == [(DEPLOYMENT, 1)]

    with caplog.at_level(logging.WARNING):
        scaling(tmp_path, scenario)
    assert "model.activation_failed" in caplog.messages


def test_a_model_scaled_down_while_requests_are_queued_is_activated_again(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: deployment.cluster.writes == [(DEPLOYMENT, 1)])
        await until(lambda: bool(deployment.cluster.slices))
        deployment.cluster.add_deployment(DEPLOYMENT, 0)
        await deployment.remove(deployment.pod)
        deployment.starts.set()
        assert (await pending)[0] == 200
        assert deployment.cluster.writes == [(DEPLOYMENT, 1), (DEPLOYMENT, 1)]

    scaling(tmp_path, scenario)


def test_the_prompts_of_one_request_take_one_slot(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        body = {"model": MODEL, "prompt": list("abcdef")}
        pending = asyncio.create_task(gateway.post("/v1/completions", body))
        await until(lambda: bool(deployment.pods))
        assert queued(gateway) == 1
        deployment.starts.set()
        status, _, text = await pending
        assert (status, len(json.loads(text)["choices"])) == (200, 6)
        assert len(deployment.pod.requests) == 6
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 1

    scaling(tmp_path, scenario, activation_queue=5)


def test_the_prompts_of_one_request_fail_together(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        body = {"model": MODEL, "prompt": list("abcdef")}
        status, headers, _ = await gateway.post("/v1/completions", body)
        assert (status, headers["Retry-After"]) == (503, "2")
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 1
        assert deployment.cluster.writes == [(DEPLOYMENT, 1)]

    scaling(tmp_path, scenario, activation_seconds=0.2)


def test_a_disconnect_does_not_cancel_the_activation(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        go = asyncio.Event()

        async def wait() -> None:
            await go.wait()

        deployment.cluster.before_write = wait
        body = {"model": MODEL, "messages": CHAT["messages"]}
        await disconnect(gateway, "/api/chat", body, lambda: queued(gateway) == 1)
        await until(lambda: queued(gateway) == 0)
        go.set()
        await until(lambda: deployment.cluster.writes == [(DEPLOYMENT, 1)])

    scaling(tmp_path, scenario)


def test_time_in_the_queue_does_not_count_towards_the_request_timeout(tmp_path: Path) -> None:
    async def hanging(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        await asyncio.Event().wait()
        yield b""

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        status, headers, _ = await gateway.post("/api/chat", CHAT)
        assert (status, headers.get("Retry-After")) == (503, "2")
        deployment.pod.script = hanging
        deployment.starts.set()
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
        assert (await gateway.post("/api/chat", CHAT))[0] == 504

    scaling(tmp_path, scenario, activation_seconds=0.5, total_seconds=0.5)


def test_a_model_that_does_not_scale_to_zero_is_not_queued_for(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        status, _, text = await gateway.post("/api/chat", CHAT)
        assert (status, "is loading" in text) == (503, True)
        assert await state(gateway) == "loading"
        assert (deployment.cluster.writes, deployment.cluster.scale_reads) == ([], 0)

    scaling(tmp_path, scenario, models=placed(scales=False))
