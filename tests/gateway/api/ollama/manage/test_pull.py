"""/api/pull reports how far a model is from being served."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import fake_deployment, gateway_on
from gateway.fake_inference import FakeInference, fake_inference
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until
from sizeup_wire.catalog import Catalog

END = ["verifying sha256 digest", "writing manifest", "success"]
PULL = {"model": MODEL}


async def lines(gateway: Gateway, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async with gateway.http.post(f"{gateway.url}/api/pull", json=body) as response:
        assert response.status == 200
        async for line in response.content:
            yield json.loads(line)


def statuses(found: list[dict[str, Any]]) -> list[str]:
    return [line["status"] for line in found]


def test_a_served_model_is_there_at_once() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            first, layer, *rest = [line async for line in lines(gateway, PULL)]
            assert first == {"status": "pulling manifest"}
            digest = fake.info.digest
            assert layer["status"] == f"pulling {digest[:12]}"
            assert layer["digest"] == f"sha256:{digest}"
            assert layer["total"] == layer["completed"] == fake.info.weight_bytes
            assert statuses(rest) == END
            status, _, text = await gateway.post("/api/pull", PULL | {"stream": False})
            assert (status, json.loads(text)) == (200, {"status": "success"})

    asyncio.run(scenario())


def starting(fake: FakeInference, state: str) -> None:
    fake.ready, fake.state = False, state


@pytest.mark.parametrize("state", ["downloading", "loading"])
def test_the_progress_of_a_model_that_starts_is_streamed(state: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake:
            starting(fake, state)
            async with running_gateway(fake, wait=False) as gateway:
                await until(lambda: fake.probes > 1)
                stream = lines(gateway, PULL)
                assert (await anext(stream))["status"] == "pulling manifest"
                line = await anext(stream)
                assert line["status"] == f"{state} 50%"
                fake.ready = True
                assert statuses([line async for line in stream])[-3:] == END

    asyncio.run(scenario())


def test_a_download_of_known_size_is_counted_in_bytes() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake:
            starting(fake, "downloading")
            (entry,) = catalog(fake.url).models.values()
            models = Catalog(models={KEY: entry.model_copy(update={"parameters": 500_000_000})})
            async with running_gateway(models=models, wait=False) as gateway:
                await until(lambda: fake.probes > 1)
                stream = lines(gateway, PULL)
                assert (await anext(stream))["status"] == "pulling manifest"
                line = await anext(stream)
                assert line["digest"].startswith("sha256:" + line["status"].split()[1])
                assert (line["completed"], line["total"]) == (500_000_000, 1_000_000_000)
                fake.ready = True
                assert statuses([line async for line in stream])[-3:] == END

    asyncio.run(scenario())


def test_a_model_that_fails_ends_the_pull_with_the_reason() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake:
            starting(fake, "loading")
            async with running_gateway(fake, wait=False) as gateway:
                await until(lambda: fake.probes > 1)
                stream = lines(gateway, PULL)
                first, _ = await anext(stream), await anext(stream)
                assert first["status"] == "pulling manifest"
                fake.state, fake.stage = "failed", "checksum mismatch"
                *_, last = [line async for line in stream]
                assert "checksum mismatch" in last["error"]
                status, _, text = await gateway.post("/api/pull", PULL | {"stream": False})
                assert status == 503
                assert "checksum mismatch" in json.loads(text)["error"]

    asyncio.run(scenario())


def test_a_pull_waits_no_longer_than_an_activation() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake:
            starting(fake, "loading")
            async with running_gateway(fake, wait=False, activation_seconds=0.1) as gateway:
                status, _, text = await gateway.post("/api/pull", PULL | {"stream": False})
                assert (status, "is loading" in text) == (503, True)

    asyncio.run(scenario())


def test_a_model_that_is_scaled_to_zero_is_not_woken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fake_deployment() as deployment, gateway_on(deployment, tmp_path) as gateway:
            await until(lambda: gateway.sample("model_state", model=KEY, state="unloaded") == 1)
            assert statuses([line async for line in lines(gateway, PULL)])[-3:] == END
            assert deployment.cluster.writes == []

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["qwen2.5:0.4b", "llama3", "x" * 80])
def test_a_model_that_is_not_served_is_named(name: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            *_, last = [line async for line in lines(gateway, {"name": name})]
            body = {"name": name, "stream": False}
            status, _, text = await gateway.post("/api/pull", body)
            assert (status, json.loads(text)) == (404, last)
            assert last["error"].startswith("pull model manifest: file does not exist: ")
            assert f"'{name}' is not served here (served: {MODEL})" in last["error"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("body", "status"), [({}, 400), ({"model": "a b"}, 400)])
def test_an_invalid_pull_is_rejected(body: dict[str, Any], status: int) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            assert (await gateway.post("/api/pull", body))[0] == status

    asyncio.run(scenario())
