"""Gateways that share their created models, by a file or a ConfigMap."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.fake_cluster import FakeCluster
from gateway.fake_deployment import fake_deployment, gateway_on, placed
from gateway.fake_inference import fake_inference
from gateway.harness import MODEL, Gateway, running_gateway, settings, until
from sizeup_gateway.app import create_app
from sizeup_gateway.created_models.store import KEY
from sizeup_telemetry.drain import Drain
from sizeup_wire.catalog import Catalog

CONFIG_MAP = "sizeup-created-models"
Scenario = Callable[[list[Gateway]], Awaitable[None]]


async def names(gateway: Gateway) -> set[str]:
    _, body = await gateway.get("/api/tags")
    return {model["name"] for model in body["models"]}


async def copy(gateway: Gateway, destination: str, source: str = MODEL) -> int:
    body = {"source": source, "destination": destination}
    return (await gateway.post("/api/copy", body))[0]


async def delete(gateway: Gateway, name: str) -> int:
    async with gateway.http.delete(f"{gateway.url}/api/delete", json={"model": name}) as response:
        return response.status


async def until_listed(gateway: Gateway, *expected: str) -> None:
    async with asyncio.timeout(30):
        while await names(gateway) != {MODEL, *expected}:  # noqa: ASYNC110 - by HTTP only
            await asyncio.sleep(0.005)


def with_file(path: Path, scenario: Scenario, gateways: int = 2) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            fake = await stack.enter_async_context(fake_inference())
            running = [
                running_gateway(fake, created_models=path, catalog_poll_seconds=0.05)
                for _ in range(gateways)
            ]
            await scenario([await stack.enter_async_context(one) for one in running])

    asyncio.run(run())


def with_config_map(
    folder: Path, scenario: Callable[[list[Gateway], FakeCluster], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with fake_deployment() as deployment:
            await deployment.cluster.put_config_map(CONFIG_MAP)
            changes = {"created_models_config_map": CONFIG_MAP, "discovery": "kubernetes"}
            models = placed(scales=False)
            async with (
                gateway_on(deployment, folder, models, **changes) as one,
                gateway_on(deployment, folder, models, **changes) as two,
            ):
                await scenario([one, two], deployment.cluster)

    asyncio.run(run())


def test_created_models_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "models.json"

    async def create(gateways: list[Gateway]) -> None:
        assert await copy(gateways[0], "GPT-4") == 200

    async def find(gateways: list[Gateway]) -> None:
        await until_listed(gateways[0], "GPT-4:latest")
        assert await delete(gateways[0], "gpt-4") == 200
        assert await names(gateways[0]) == {MODEL}

    with_file(path, create, gateways=1)
    with_file(path, find, gateways=1)


def test_gateways_with_one_file_agree(tmp_path: Path) -> None:
    async def scenario(gateways: list[Gateway]) -> None:
        one, two = gateways
        tasks = [copy(gateways[i % 2], f"m{i}") for i in range(6)]
        assert set(await asyncio.gather(*tasks)) == {200}
        for gateway in gateways:
            await until_listed(gateway, *[f"m{i}:latest" for i in range(6)])
        assert await copy(one, "chained", "m5") == 200
        assert await copy(two, "again", "chained") == 200  # before it has polled

    with_file(tmp_path / "models.json", scenario)


def test_an_unreadable_file_is_reported_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text("broken")

    async def scenario(gateways: list[Gateway]) -> None:
        (gateway,) = gateways
        assert await copy(gateway, "x") == 500
        assert gateway.sample("created_models_unreadable") == 1
        assert path.read_text() == "broken"
        path.write_text('{"models": {}}')
        await until(lambda: gateway.sample("created_models_unreadable") == 0)
        assert await copy(gateway, "x") == 200
        assert gateway.sample("created_models") == 1

    with_file(path, scenario, gateways=1)


def test_gateways_with_one_config_map_agree(tmp_path: Path) -> None:
    async def scenario(gateways: list[Gateway], cluster: FakeCluster) -> None:
        one, two = gateways
        assert await copy(one, "x") == 200
        await until_listed(two, "x:latest")
        assert await copy(two, "y", "x") == 200
        await until_listed(one, "x:latest", "y:latest")
        assert await delete(one, "x") == 200
        await until_listed(two, "y:latest")
        assert set(cluster.config_maps[CONFIG_MAP]["data"]) == {KEY}

    with_config_map(tmp_path, scenario)


def test_a_write_by_another_gateway_is_not_lost(tmp_path: Path) -> None:
    async def scenario(gateways: list[Gateway], cluster: FakeCluster) -> None:
        one, two = gateways

        async def interfere() -> None:
            cluster.before_write = None
            assert await copy(two, "y") == 200

        cluster.before_write = interfere
        assert await copy(one, "x") == 200
        assert cluster.conflicts == 1
        for gateway in gateways:
            await until_listed(gateway, "x:latest", "y:latest")

    with_config_map(tmp_path, scenario)


def test_endless_conflicts_end_in_busy(tmp_path: Path) -> None:
    async def scenario(gateways: list[Gateway], cluster: FakeCluster) -> None:
        async def interfere() -> None:
            await cluster.put_config_map(CONFIG_MAP)

        cluster.before_write = interfere
        assert await copy(gateways[0], "x") == 503

    with_config_map(tmp_path, scenario)


@pytest.mark.parametrize("status", [403, 500])
def test_an_error_of_the_api_server_is_reported(tmp_path: Path, status: int) -> None:
    async def scenario(gateways: list[Gateway], cluster: FakeCluster) -> None:
        (one, two) = gateways
        assert await copy(one, "x") == 200
        cluster.refusal = status
        assert await copy(one, "y") == 500
        assert await names(one) == {MODEL, "x:latest"}
        cluster.refusal = None
        assert await copy(two, "y") == 200
        await until_listed(one, "x:latest", "y:latest")

    with_config_map(tmp_path, scenario)


def test_a_config_map_requires_a_cluster_and_no_file(tmp_path: Path) -> None:
    for changes in ({}, {"created_models": tmp_path / "models.json"}):
        given = settings(created_models_config_map=CONFIG_MAP, **changes)
        with pytest.raises(ValueError, match="CONFIG_MAP"):
            create_app(given, Catalog(models={}), CollectorRegistry(), Drain())


def test_a_missing_config_map_is_an_error(tmp_path: Path) -> None:
    async def scenario(gateways: list[Gateway], cluster: FakeCluster) -> None:
        del cluster.config_maps[CONFIG_MAP]
        assert await copy(gateways[0], "x") == 500
        assert (await gateways[0].get("/readyz"))[0] == 200

    with_config_map(tmp_path, scenario)
