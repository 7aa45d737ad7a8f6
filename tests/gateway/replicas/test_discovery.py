"""Readiness of replicas."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.fake_inference import FakeInference, fake_inference, model_info
from gateway.harness import KEY, catalog, until
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.replicas.discovery import Discovery
from sizeup_gateway.replicas.inference_client import InferenceClient

Scenario = Callable[[Models], Awaitable[None]]


async def discovering(scenario: Scenario, *urls: str) -> None:
    models = Models(catalog(*urls))
    async with InferenceClient(1, first_event=1, between_events=1, probe=0.2) as client:
        running = asyncio.create_task(Discovery(models, client, 0.02).run())
        try:
            await scenario(models)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def ready(models: Models) -> list[bool]:
    return [replica.ready for replica in models.by_key[KEY].pool.replicas]


def test_readiness_follows_the_probe() -> None:
    async def whole(fake: FakeInference) -> None:
        async def scenario(models: Models) -> None:
            await until(lambda: ready(models) == [True])
            assert models.by_key[KEY].info == fake.info
            fake.ready = False
            await until(lambda: ready(models) == [False])
            fake.info = model_info("Qwen/Another")
            fake.ready = True
            await until(lambda: ready(models) == [True])
            assert models.by_key[KEY].info == fake.info

        await discovering(scenario, fake.url)

    async def with_fake() -> None:
        async with fake_inference() as fake:
            await whole(fake)

    asyncio.run(with_fake())


def test_a_hung_replica_becomes_not_ready_and_delays_no_other() -> None:
    async def with_fakes() -> None:
        async with fake_inference() as hung, fake_inference() as well:

            async def scenario(models: Models) -> None:
                await until(lambda: ready(models) == [True, True])
                hung.hangs.set()
                probes = well.probes
                await until(lambda: ready(models) == [False, True])
                assert well.probes >= probes + 5
                hung.hangs.clear()
                await until(lambda: ready(models) == [True, True])

            await discovering(scenario, hung.url, well.url)

    asyncio.run(with_fakes())


def test_a_replica_with_another_protocol_is_not_ready() -> None:
    async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    async def with_garbage() -> None:
        async with (
            await asyncio.start_server(garbage, "127.0.0.1", 0) as server,
            fake_inference() as well,
        ):
            port = server.sockets[0].getsockname()[1]

            async def scenario(models: Models) -> None:
                await until(lambda: ready(models) == [False, True])
                probes = well.probes
                await until(lambda: well.probes > probes + 3)
                assert ready(models) == [False, True]

            await discovering(scenario, f"http://127.0.0.1:{port}", well.url)

    asyncio.run(with_garbage())
