"""Rollouts that are paused until the weights are downloaded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import DEPLOYMENT, FakeDeployment, fake_deployment, gateway_on, placed
from gateway.fake_inference import FakeInference, model_info
from gateway.fake_rollouts import FakeRollouts
from gateway.harness import KEY, MODEL, Gateway, until
from sizeup_gateway.cluster.api import JobEnd, Rollout
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.scaling.rollout_resumer import RolloutResumer
from sizeup_wire.catalog import Download

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
JOB = "sizeup-pull-qwen-01234567"
DRAFT_JOB = "sizeup-pull-draft-01234567"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_SECONDS", "_AWAITING_SECONDS", "_OTHER_SECONDS"):
        monkeypatch.setattr(f"sizeup_gateway.scaling.rollout_resumer.{name}", 0.01)


@asynccontextmanager
async def paused(
    folder: Path, *jobs: str, scales: bool = False, **changes: Any
) -> AsyncIterator[tuple[FakeDeployment, Gateway]]:
    """A model that waits for running Jobs, and a gateway that has seen it."""
    async with AsyncExitStack() as stack:
        deployment = await stack.enter_async_context(fake_deployment())
        for name in jobs:
            deployment.cluster.rollouts.put_job(name)
        deployment.cluster.rollouts.pause(DEPLOYMENT, *jobs)
        models = placed(scales=scales, download=Download(deployment=DEPLOYMENT))
        gateway = await stack.enter_async_context(gateway_on(deployment, folder, models, **changes))
        await _looks_again(deployment.cluster.rollouts)
        yield deployment, gateway


async def _looks_again(rollouts: FakeRollouts) -> None:
    """Wait until the gateway has acted on what it has read from now on."""
    seen = rollouts.reads
    await until(lambda: rollouts.reads >= seen + 2)


async def state(gateway: Gateway) -> str:
    _, body = await gateway.get("/v1/models")
    found: str = body["data"][0]["state"]
    return found


def test_a_rollout_is_resumed_when_all_its_downloads_are_complete(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB, DRAFT_JOB) as (deployment, gateway):
            rollouts = deployment.cluster.rollouts
            assert await state(gateway) == "downloading"
            rollouts.put_job(JOB, "Complete")
            await _looks_again(rollouts)
            assert (rollouts.is_paused(DEPLOYMENT), await state(gateway)) == (True, "downloading")
            rollouts.put_job(DRAFT_JOB, "Complete")
            await until(lambda: not rollouts.is_paused(DEPLOYMENT))
            assert rollouts.deployments[DEPLOYMENT]["metadata"]["annotations"] == {"other": "stays"}
            await _looks_again(rollouts)
            assert await state(gateway) == "loading"

    asyncio.run(scenario())


def test_a_request_waits_for_the_download_and_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
            await until(lambda: gateway.sample("requests_queued", model=KEY) == 1)
            deployment.cluster.rollouts.put_job(JOB, "Complete")
            await until(lambda: not deployment.cluster.rollouts.is_paused(DEPLOYMENT))
            await deployment.add_pod()
            assert (await pending)[0] == 200

    asyncio.run(scenario())


def test_a_failed_download_fails_the_model_and_its_queued_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
            await until(lambda: gateway.sample("requests_queued", model=KEY) == 1)
            deployment.cluster.rollouts.put_job(JOB, "Failed", reason="DeadlineExceeded")
            assert (await pending)[0] == 503
            assert (await state(gateway), deployment.cluster.rollouts.is_paused(DEPLOYMENT)) == (
                "failed",
                True,
            )
            _, _, body = await gateway.post("/api/pull", {"model": MODEL, "stream": False})
            assert JOB in body
            assert "DeadlineExceeded" in body

    asyncio.run(scenario())


def test_an_earlier_revision_serves_while_the_next_is_downloaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            await deployment.add_pod()
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
            assert await state(gateway) == "ready"
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
            deployment.cluster.rollouts.put_job(JOB, "Failed")
            await _looks_again(deployment.cluster.rollouts)
            assert await state(gateway) == "ready"

    asyncio.run(scenario())


def test_a_sleeping_model_whose_download_has_failed_has_failed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB, scales=True) as (deployment, gateway):
            deployment.cluster.rollouts.put_job(JOB, "Failed", reason="DeadlineExceeded")
            await _looks_again(deployment.cluster.rollouts)
            assert await state(gateway) == "failed"
            status, _, _ = await gateway.post("/api/chat", CHAT)
            assert (status, deployment.cluster.writes) == (503, [])

    asyncio.run(scenario())


@pytest.mark.parametrize("ended", [None, "Failed"])
def test_a_sleeping_model_is_served_by_its_earlier_revision(
    tmp_path: Path, ended: str | None
) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB, scales=True) as (deployment, gateway):
            rollouts = deployment.cluster.rollouts
            rollouts.put_job(JOB, ended)
            rollouts.pause(DEPLOYMENT, JOB, has_earlier=True)
            await _looks_again(rollouts)
            assert await state(gateway) == "unloaded"
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
            assert deployment.cluster.writes == [(DEPLOYMENT, 1)]

    asyncio.run(scenario())


def test_a_replica_of_another_model_does_not_serve_this_one(tmp_path: Path) -> None:
    """As after a change of `id`: the earlier pods run on while the rollout is paused."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(fake_deployment())
            deployment.cluster.rollouts.put_job(JOB)
            deployment.cluster.rollouts.pause(DEPLOYMENT, JOB, has_earlier=True)
            download = Download(deployment=DEPLOYMENT)
            models = placed(scales=False, id="Qwen/Qwen2.5-1.5B-Instruct", download=download)
            gateway = await stack.enter_async_context(gateway_on(deployment, tmp_path, models))
            earlier = await deployment.add_pod()
            await until(lambda: earlier.probes > 2)
            await _looks_again(deployment.cluster.rollouts)
            assert gateway.sample("replicas_ready", model=KEY) == 0
            assert await state(gateway) == "downloading"
            await deployment.add_pod(FakeInference(info=model_info("Qwen/Qwen2.5-1.5B-Instruct")))
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)

    asyncio.run(scenario())


def test_a_request_wakes_a_model_that_is_downloaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB, scales=True) as (deployment, gateway):
            rollouts = deployment.cluster.rollouts
            deployment.cluster.on_scale = None  # a paused Deployment creates no pods
            pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
            await until(lambda: deployment.cluster.writes == [(DEPLOYMENT, 1)])
            assert await state(gateway) == "downloading"
            rollouts.put_job(JOB, "Complete")
            await until(lambda: not rollouts.is_paused(DEPLOYMENT))
            await deployment.add_pod()
            assert (await pending)[0] == 200

    asyncio.run(scenario())


def test_a_job_that_does_not_exist_yet_is_awaited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            deployment.cluster.rollouts.jobs.clear()
            await _looks_again(deployment.cluster.rollouts)
            assert await state(gateway) == "downloading"

    asyncio.run(scenario())


def test_a_job_that_stays_missing_fails_the_model_until_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sizeup_gateway.scaling.rollout_resumer._CREATION_SECONDS", 0.0)

    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            deployment.cluster.rollouts.jobs.clear()
            await _looks_again(deployment.cluster.rollouts)
            assert await state(gateway) == "failed"
            _, _, body = await gateway.post("/api/pull", {"model": MODEL, "stream": False})
            assert JOB in body
            deployment.cluster.rollouts.put_job(JOB)
            await _looks_again(deployment.cluster.rollouts)
            assert await state(gateway) == "downloading"

    asyncio.run(scenario())


def test_a_download_that_a_catalog_no_longer_names_is_not_awaited() -> None:
    """The catalog changes while the API server answers slowly."""

    async def scenario() -> None:
        models = Models(placed(scales=False, download=Download(deployment=DEPLOYMENT)))
        rollouts = SlowRollouts()
        resumer = asyncio.create_task(RolloutResumer(models, rollouts).run())
        await rollouts.asked.wait()
        models.apply(placed(scales=False))
        rollouts.answers.set()
        await until(lambda: rollouts.answered)
        assert models.by_key[KEY].download is None
        resumer.cancel()

    asyncio.run(scenario())


class SlowRollouts(ClusterClient):
    """A rollout that awaits a Job which runs."""

    def __init__(self) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.answered = False

    async def read_rollout(self, deployment: str) -> Rollout:
        return Rollout((JOB,), "1")

    async def read_job(self, name: str) -> JobEnd | None:
        self.asked.set()
        await self.answers.wait()
        self.answered = True
        return None

    async def resume_rollout(self, deployment: str, version: str) -> None:
        raise AssertionError("the Job is not complete")


def test_a_change_between_reading_and_resuming_is_not_overwritten(tmp_path: Path) -> None:
    """An upgrade pauses the rollout for another Job: the end of the first does not resume it."""

    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, _gateway):
            rollouts = deployment.cluster.rollouts

            async def upgrade() -> None:
                rollouts.before_write = None
                rollouts.put_job(DRAFT_JOB)
                rollouts.pause(DEPLOYMENT, DRAFT_JOB)

            rollouts.before_write = upgrade
            rollouts.put_job(JOB, "Complete")
            await until(lambda: rollouts.conflicts == 1)
            await _looks_again(rollouts)
            assert rollouts.is_paused(DEPLOYMENT)
            rollouts.put_job(DRAFT_JOB, "Complete")
            await until(lambda: not rollouts.is_paused(DEPLOYMENT))

    asyncio.run(scenario())


def test_two_gateways_resume_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, _gateway):
            rollouts = deployment.cluster.rollouts
            models = placed(scales=False, download=Download(deployment=DEPLOYMENT))
            async with gateway_on(deployment, tmp_path, models) as other:
                both = asyncio.Barrier(2)

                async def wait_for_the_other() -> None:
                    rollouts.before_write = None if both.n_waiting else wait_for_the_other
                    await both.wait()

                rollouts.before_write = wait_for_the_other
                rollouts.put_job(JOB, "Complete")
                await until(lambda: rollouts.conflicts == 1)
                await _looks_again(rollouts)
                assert (rollouts.is_paused(DEPLOYMENT), await state(other)) == (False, "loading")

    asyncio.run(scenario())


def test_what_is_known_stays_while_the_api_server_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with paused(tmp_path, JOB) as (deployment, gateway):
            rollouts = deployment.cluster.rollouts
            rollouts.put_job(JOB, "Complete")
            rollouts.refusal = 403
            reads = rollouts.reads
            await until(lambda: rollouts.reads > reads)
            assert await state(gateway) == "downloading"
            rollouts.refusal = None
            await until(lambda: not rollouts.is_paused(DEPLOYMENT))

    asyncio.run(scenario())
