"""Autoscaling of real requests, from the gateway to the scale of the Deployment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import DEPLOYMENT, fake_deployment, gateway_on, placed
from gateway.fake_inference import finished, started
from gateway.harness import KEY, MODEL, until
from sizeup_wire.catalog import Autoscaling, Catalog, ScaleToZero
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
AUTOSCALING = Autoscaling(
    deployment=DEPLOYMENT, max_replicas=3, target_requests=2, stabilization_seconds=0.5
)


def autoscaled(**fields: object) -> Catalog:
    return placed(scales=False, autoscaling=AUTOSCALING, **fields)


@pytest.fixture(autouse=True)
def _checks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._SCALE_SECONDS", 0.1)
    monkeypatch.setattr("sizeup_gateway.scaling.load_history._WINDOW_SECONDS", 0.2)


def replicas(written: list[tuple[str, int]]) -> list[int]:
    return [count for _, count in written]


def test_requests_scale_out_and_in(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        await go.wait()
        yield finished(0)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(fake_deployment())
            deployment.cluster.add_deployment(DEPLOYMENT, 1)
            deployment.script = script
            await deployment.add_pod()
            both = [
                await stack.enter_async_context(gateway_on(deployment, tmp_path, autoscaled()))
                for _ in range(2)
            ]
            await until(lambda: all(g.sample("replicas_ready", model=KEY) == 1 for g in both))
            pending = [
                asyncio.create_task(one.post("/api/chat", CHAT)) for one in both for _ in range(4)
            ]
            await until(lambda: both[0].sample("replicas_ready", model=KEY) == 3)
            assert replicas(deployment.cluster.writes)[-1] == 3
            for one in both:
                await until(
                    lambda: one.sample("autoscaler_current_replicas", model=KEY) == 3  # noqa: B023
                )
                assert one.sample("autoscaler_desired_replicas", model=KEY) == 3
            go.set()
            assert {status for status, _, _ in await asyncio.gather(*pending)} == {200}
            await until(lambda: replicas(deployment.cluster.writes)[-1] == 1)
            written = replicas(deployment.cluster.writes)
            top = written.index(3)
            assert written == [*sorted(written[:top]), 3, *sorted(written[top + 1 :])[::-1]]
            assert (await both[0].get("/api/ps"))[1]["models"][0]["state"] == "ready"

    asyncio.run(run())


def test_a_model_without_replicas_is_raised_to_the_minimum(tmp_path: Path) -> None:
    models = placed(scales=False, autoscaling=AUTOSCALING.model_copy(update={"min_replicas": 2}))

    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, tmp_path, models) as gateway,
        ):
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 2)
            assert replicas(deployment.cluster.writes) == [2]

    asyncio.run(run())


@pytest.mark.parametrize(
    "autoscaling",
    [None, Autoscaling(deployment=DEPLOYMENT, min_replicas=2, max_replicas=3, target_requests=2)],
)
def test_the_first_request_starts_as_many_replicas_as_are_configured(
    tmp_path: Path, autoscaling: Autoscaling | None
) -> None:
    sleeping = ScaleToZero(deployment=DEPLOYMENT, replicas=2, startup_seconds=600)
    models = placed(scale_to_zero=sleeping, autoscaling=autoscaling)

    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, tmp_path, models) as gateway,
        ):
            assert (await gateway.get("/api/ps"))[1] == {"models": []}
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
            assert replicas(deployment.cluster.writes) == [2]
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 2)

    asyncio.run(run())


def test_metrics_are_of_autoscaled_models_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, tmp_path) as gateway,
        ):
            await gateway.post("/api/chat", CHAT)
            name = "sizeup_gateway_autoscaler_current_replicas"
            assert gateway.registry.get_sample_value(name, {"model": KEY}) is None

    asyncio.run(run())
