"""Scale to zero: when a model is scaled down and when not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import DEPLOYMENT, FakeDeployment, fake_deployment, gateway_on, placed
from gateway.fake_inference import FakeInference, finished, started
from gateway.harness import KEY, MODEL, Gateway, until
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.scaling.idle_scaler import StartupProgress, is_expired
from sizeup_wire.catalog import ScaleToZero
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import Stats

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
UP, DOWN = (DEPLOYMENT, 1), (DEPLOYMENT, 0)
Scenario = Callable[[FakeDeployment, Gateway], Awaitable[None]]


def stats(*, idle: bool = True, expires_at: float | None = 10.0, now: float = 10.0) -> Stats:
    return Stats(
        running=0,
        waiting=0,
        pages_used=0,
        pages_total=1,
        max_waiting=1,
        steps=0,
        prompt_tokens=0,
        completion_tokens=0,
        idle=idle,
        expires_at=expires_at,
        now=now,
    )


@pytest.mark.parametrize(
    ("replicas", "due"),
    [
        ([stats()], True),
        ([stats(now=9.9)], False),
        ([stats(idle=False)], False),
        ([stats(expires_at=None)], False),
        ([stats(), stats(now=9.9)], False),
        ([stats(), stats(expires_at=5.0, now=6.0)], True),
        ([], False),
    ],
)
def test_a_model_has_expired_if_every_replica_has(replicas: list[Stats], due: bool) -> None:
    assert is_expired(replicas) is due


@pytest.fixture(autouse=True)
def _checks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._SCALE_SECONDS", 0.2)


def scaling(folder: Path, scenario: Scenario, **changes: Any) -> None:
    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, folder, **changes) as gateway,
        ):
            await scenario(deployment, gateway)

    asyncio.run(run())


async def stats_reads(pod: FakeInference, count: int = 2) -> None:
    """Wait until the stats of a replica have been read this many more times."""
    before = pod.stats_reads
    await until(lambda: pod.stats_reads >= before + count)


async def process(gateway: Gateway) -> dict[str, Any]:
    (found,) = (await gateway.get("/api/ps"))[1]["models"]
    assert isinstance(found, dict)
    return found


def test_a_model_stays_loaded_for_its_keep_alive_time(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post("/api/chat", CHAT | {"keep_alive": "5m"}))[0] == 200
        pod = deployment.pod
        assert pod.requests[0].keep_alive_seconds == 300
        pod.now += 299
        await stats_reads(pod)
        assert deployment.cluster.writes == [UP]
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert pod.requests[1].keep_alive_seconds is None
        pod.now += 299
        await stats_reads(pod)
        assert deployment.cluster.writes == [UP]
        pod.now += 1
        await until(lambda: deployment.cluster.writes == [UP, DOWN])
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 0)
        assert gateway.sample("model_state", model=KEY, state="unloaded") == 1
        assert (await gateway.get("/api/ps"))[1] == {"models": []}
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert deployment.cluster.writes == [UP, DOWN, UP]

    scaling(tmp_path, scenario)


def test_a_keep_alive_of_zero_unloads_after_the_response(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        await go.wait()
        yield finished(0)

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        pod = deployment.pod
        pod.script = script
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT | {"keep_alive": 0}))
        await until(lambda: pod.live == 1)
        await stats_reads(pod)
        assert deployment.cluster.writes == [UP]
        go.set()
        assert (await pending)[0] == 200
        await until(lambda: deployment.cluster.writes == [UP, DOWN])

    scaling(tmp_path, scenario)


@pytest.mark.parametrize("keep_alive", [-1, "-1m", pytest.param(10**400, id="huge")])
def test_a_negative_keep_alive_is_for_ever(tmp_path: Path, keep_alive: object) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post("/api/chat", CHAT | {"keep_alive": keep_alive}))[0] == 200
        deployment.pod.now += 1e6
        await stats_reads(deployment.pod)
        assert deployment.cluster.writes == [UP]
        shown = datetime.fromisoformat((await process(gateway))["expires_at"])
        assert shown.year > 2300

    scaling(tmp_path, scenario)


def test_an_empty_request_loads_and_unloads(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        replica = {"model": MODEL, "keep_alive": 0}
        for path in ("/api/chat", "/api/generate"):
            status, _, text = await gateway.post(path, replica)
            assert (status, json.loads(text)["done_reason"]) == (200, "unload")
        assert deployment.cluster.writes == []
        status, _, text = await gateway.post("/api/generate", {"model": MODEL})
        body = json.loads(text)
        assert (status, body["done_reason"], body["response"]) == (200, "load", "")
        assert deployment.cluster.writes == [UP]
        assert deployment.pod.keep_alive_requests == [None]
        await gateway.post("/api/chat", {"model": MODEL, "messages": [], "keep_alive": "10m"})
        await gateway.post("/api/generate", {"model": MODEL})
        assert deployment.pod.keep_alive_requests == [None, 600, None]
        assert deployment.pod.keep_alive == 600
        shown = (await process(gateway))["expires_at"]
        assert shown.startswith(datetime.fromtimestamp(1600).strftime("%Y-%m"))
        assert deployment.pod.requests == []
        await gateway.post("/api/generate", replica)
        await until(lambda: deployment.cluster.writes == [UP, DOWN])

    scaling(tmp_path, scenario)


def test_an_expired_model_is_checked_twice(tmp_path: Path) -> None:
    """Another gateway may have requests queued for it."""

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        looks_before: list[int] = []

        async def note() -> None:
            looks_before.append(pod.stats_reads)

        deployment.cluster.before_write = note
        pod = FakeInference()
        pod.keep_alive = 0.0
        deployment.cluster.add_deployment(DEPLOYMENT, 1)
        await deployment.add_pod(pod)
        await until(lambda: deployment.cluster.writes == [DOWN])
        assert looks_before == [2]

    scaling(tmp_path, scenario)


def test_a_replica_without_stats_keeps_its_model(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        await gateway.post("/api/chat", CHAT)
        second = await deployment.add_pod()
        second.stats_fail = True
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 2)
        await gateway.post("/api/generate", {"model": MODEL, "keep_alive": 0})
        first = next(pod for pod in deployment.pods.values() if pod is not second)
        await stats_reads(first)
        assert deployment.cluster.writes == [UP]
        second.stats_fail = False
        await until(lambda: deployment.cluster.writes == [UP, DOWN])

    scaling(tmp_path, scenario)


def test_two_gateways_scale_a_model_down_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(fake_deployment())
            gateways = [
                await stack.enter_async_context(gateway_on(deployment, tmp_path)) for _ in range(2)
            ]
            await gateways[0].post("/api/chat", CHAT)
            await until(lambda: gateways[1].sample("replicas_ready", model=KEY) == 1)
            await gateways[1].post("/api/chat", CHAT | {"keep_alive": 0})
            await until(lambda: deployment.cluster.writes == [UP, DOWN])
            down = {"model": KEY, "state": "unloaded"}
            await until(lambda: all(g.sample("model_state", **down) for g in gateways))
            assert deployment.cluster.writes == [UP, DOWN]

    asyncio.run(scenario())


def test_a_model_activated_by_another_gateway_is_loading(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        labels = {"model": KEY, "state": "loading"}
        assert gateway.sample("model_state", **labels) == 0
        deployment.cluster.on_scale = None
        deployment.cluster.add_deployment(DEPLOYMENT, 1)
        await until(lambda: gateway.sample("model_state", **labels) == 1)

    scaling(tmp_path, scenario)


def test_a_model_that_never_becomes_ready_is_scaled_down(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        deployment.starts.clear()
        status, _, _ = await gateway.post("/api/chat", CHAT)
        assert status == 503
        await until(lambda: deployment.cluster.writes == [UP, DOWN])

    times = {"keep_alive_seconds": 0.1, "startup_seconds": 0.1}
    models = placed(scale_to_zero=ScaleToZero(deployment=DEPLOYMENT, **times))
    scaling(tmp_path, scenario, models=models, activation_seconds=0.2)


def test_a_gateway_without_queued_requests_does_not_interrupt_a_startup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One gateway has queued a request; the other sees only a model that is not ready."""
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._SCALE_SECONDS", 0.0)
    times = {"keep_alive_seconds": 0.0, "startup_seconds": 3600.0}
    models = placed(scale_to_zero=ScaleToZero(deployment=DEPLOYMENT, **times))

    async def scenario() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, tmp_path, models) as holding,
            gateway_on(deployment, tmp_path, models, activation_seconds=0.05),
        ):
            deployment.starts.clear()
            pending = asyncio.create_task(holding.post("/api/chat", CHAT))
            await until(lambda: deployment.cluster.writes == [UP])
            seen = deployment.cluster.scale_reads
            await until(lambda: deployment.cluster.scale_reads > seen + 40)
            deployment.starts.set()
            assert (await pending)[0] == 200
            assert deployment.cluster.writes == [UP]

    asyncio.run(scenario())


def replica(state: str | None, progress: float | None = None) -> Replica:
    return Replica("http://a", state=state, progress=progress)


def test_progress_resets_the_stall_timer() -> None:
    start = StartupProgress(now=0.0)
    steps = [
        replica(None),
        replica("downloading", 0.0),
        replica("downloading", 0.5),
        replica("loading", 0.0),
        replica("loading", 0.9),
    ]
    assert start.stalled_seconds([], now=100.0) == 100.0
    still = [
        (start.stalled_seconds([step], now), start.stalled_seconds([step], now + 99.0))
        for now, step in zip(range(200, 700, 100), steps, strict=True)
    ]
    assert still == [(200.0, 299.0), *[(0.0, 99.0)] * 4]


@pytest.mark.parametrize(
    "replicas",
    [
        [],
        [replica("failed", 0.5)],
        [replica(None)],
        [replica("loading", 0.0)],
        [replica("loading", 0.5)],
        [replica("downloading", 1.0), replica("loading", 0.1)],
    ],
)
def test_a_restart_is_not_progress(replicas: list[Replica]) -> None:
    start = StartupProgress(now=0.0)
    assert start.stalled_seconds([replica("loading", 0.5)], now=10.0) == 0.0
    assert start.stalled_seconds(replicas, now=30.0) == 20.0


def test_the_furthest_replica_counts() -> None:
    start = StartupProgress(now=0.0)
    start.stalled_seconds([replica("loading", 0.1)], now=10.0)
    assert start.stalled_seconds([replica(None), replica("loading", 0.2)], now=20.0) == 0.0
