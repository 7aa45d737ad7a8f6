"""The official Ollama client lists, loads and unloads models."""

import asyncio
from pathlib import Path

import ollama

from contract.test_ollama_client import MESSAGES, TEXT, run
from gateway.fake_deployment import DEPLOYMENT, fake_deployment, gateway_on
from gateway.harness import KEY, MODEL, until


def test_models_are_listed_shown_and_running() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        (model,) = (await client.list()).models
        assert model.model == MODEL
        assert model.size == 988_065_536
        assert model.digest == "ab" * 32
        assert model.modified_at is not None
        assert model.details is not None
        assert model.details.family == "qwen2"
        assert model.details.parameter_size == "494.03M"
        assert model.details.quantization_level == "BF16"
        shown = await client.show(MODEL)
        assert shown.modelinfo is not None
        assert shown.modelinfo["qwen2.context_length"] == 32_768
        assert shown.capabilities == ["completion", "tools"]
        assert shown.template is not None
        assert "tools" in shown.template
        assert all([shown.license, shown.modelfile, shown.parameters, shown.modified_at])
        (process,) = (await client.ps()).models
        assert (process.name, process.size_vram, process.context_length) == (MODEL, 0, 32_768)
        assert process.size == 1_200_000_000
        assert process.expires_at is not None

    run(scenario)


def test_loading_and_unloading_are_acknowledged_without_a_token() -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        loaded = await client.generate(MODEL, keep_alive=-1)
        assert (loaded.response, loaded.done, loaded.done_reason) == ("", True, "load")
        unloaded = await client.generate(MODEL, keep_alive=0)
        assert unloaded.done_reason == "unload"
        assert (await client.chat(MODEL)).done_reason == "load"
        assert (await client.chat(MODEL, keep_alive="0s")).done_reason == "unload"

    assert run(scenario) == []


def test_the_client_loads_and_unloads_a_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, tmp_path) as gateway,
            ollama.AsyncClient(host=gateway.url) as client,
        ):
            assert (await client.ps()).models == []
            deployment.starts.clear()
            pending = asyncio.create_task(client.chat(MODEL, MESSAGES, keep_alive="10m"))
            await until(lambda: gateway.sample("model_state", model=KEY, state="loading") == 1)
            (process,) = (await client.ps()).models
            assert process.model == MODEL
            deployment.starts.set()
            response = await pending
            assert response.message.content == TEXT
            assert response.load_duration is not None
            assert response.load_duration > 0
            assert deployment.pod.requests[0].keep_alive_seconds == 600
            await client.generate(MODEL, keep_alive=-1)
            await client.generate(MODEL, keep_alive=0)
            assert deployment.pod.keep_alive_requests == [-1, 0]
            await until(lambda: deployment.cluster.writes == [(DEPLOYMENT, 1), (DEPLOYMENT, 0)])

    asyncio.run(scenario())
