"""Scale to zero of replicas with fixed addresses, as of `sizeup up`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, fake_inference, refusing
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until
from sizeup_gateway.cluster.api import ConflictError, Scale
from sizeup_wire.catalog import Catalog, ScaleToZero
from sizeup_wire.errors import ErrorCode

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}


@pytest.fixture(autouse=True)
def _checks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.scaling.scaler._INTERVAL_SECONDS", 0.05)


class FakeSupervisor:
    """Starts and stops one process."""

    def __init__(self, process: FakeInference) -> None:
        self.process = process
        self._script = process.script
        self.scale = Scale(1, "0")
        self.writes: list[int] = []
        self.exits = asyncio.Event()
        """Cleared to let a process that is exiting drain."""
        self.exits.set()

    async def read_scale(self, _deployment: str) -> Scale:
        return self.scale

    async def write_scale(self, _deployment: str, scale: Scale) -> None:
        if scale.version != self.scale.version:
            raise ConflictError
        self.writes.append(scale.replicas)
        self.scale = Scale(scale.replicas, str(len(self.writes)))
        if scale.replicas:
            await self.exits.wait()
            self.process.script = self._script
            self.process.ready, self.process.keep_alive = True, -1.0
            await self.process.start()
        else:
            self.process.script = refusing(ErrorCode.DRAINING, 503, "draining")
            self.process.ready, self.process.state = False, "draining"
            if self.exits.is_set():
                await self.process.stop()


Scenario = Callable[[FakeSupervisor, Gateway], Awaitable[None]]


def placed(url: str) -> Catalog:
    (entry,) = catalog(url).models.values()
    scale = ScaleToZero(deployment="model-0", keep_alive_seconds=-1, startup_seconds=600)
    return Catalog(models={KEY: entry.model_copy(update={"scale_to_zero": scale})})


def scaling(scenario: Scenario) -> None:
    async def run() -> None:
        async with fake_inference() as process:
            supervisor = FakeSupervisor(process)
            async with running_gateway(
                process, models=placed(process.url), scales=supervisor
            ) as gateway:
                await scenario(supervisor, gateway)

    asyncio.run(run())


async def unload(supervisor: FakeSupervisor, gateway: Gateway) -> None:
    before = len(supervisor.writes)
    status, _, text = await gateway.post("/api/generate", {"model": MODEL, "keep_alive": 0})
    assert (status, json.loads(text)["done_reason"]) == (200, "unload")
    await until(lambda: supervisor.writes[before:] == [0])


def test_a_keep_alive_of_zero_ends_the_process_and_the_next_request_starts_it() -> None:
    async def scenario(supervisor: FakeSupervisor, gateway: Gateway) -> None:
        _, tags = await gateway.get("/api/tags")
        await unload(supervisor, gateway)
        await until(lambda: gateway.sample("model_state", model=KEY, state="unloaded") == 1)
        assert (await gateway.get("/api/ps"))[1] == {"models": []}
        assert (await gateway.get("/api/tags"))[1] == tags
        assert (await gateway.post("/v1/chat/completions", CHAT))[0] == 200
        assert supervisor.writes == [0, 1]
        assert len((await gateway.get("/api/ps"))[1]["models"]) == 1

    scaling(scenario)


def test_a_request_while_the_process_ends_is_answered_by_the_next_one() -> None:
    async def scenario(supervisor: FakeSupervisor, gateway: Gateway) -> None:
        supervisor.exits.clear()
        await unload(supervisor, gateway)
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: supervisor.writes == [0, 1])
        await supervisor.process.stop()
        supervisor.exits.set()
        assert (await pending)[0] == 200

    scaling(scenario)


def test_a_model_without_a_keep_alive_stays() -> None:
    async def scenario(supervisor: FakeSupervisor, gateway: Gateway) -> None:
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        reads = supervisor.process.stats_reads
        await until(lambda: supervisor.process.stats_reads > reads + 3)
        assert supervisor.writes == []

    scaling(scenario)
