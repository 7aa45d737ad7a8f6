"""/api/tags, /api/show and /api/ps: what stands on disk is known before the model is loaded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, fake_inference, model_info
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until
from sizeup_gateway.api.ollama.response_schema import ShowResponse
from sizeup_wire.catalog import Catalog

BY_FILES = model_info().model_copy(
    update={
        "memory_bytes": 0,
        "device": "",
        "load_ns": 0,
        "stored_as": "BF16",
        "head_dim": 64,
        "rms_norm_eps": 1e-6,
    }
)
LOADED = BY_FILES.model_copy(update={"memory_bytes": 1_200_000_000, "device": "cpu", "load_ns": 7})
DETAILS = b'[{"name":"w","type":"BF16","shape":[2,3]}]\n["a","\xe4\xb8\x96"]\n["a b"]\n[1,3]\n'
Scenario = Callable[[FakeInference, Gateway], Awaitable[None]]


def loading(scenario: Scenario, described: bool = True) -> None:
    async def run() -> None:
        async with fake_inference(info=LOADED) as replica:
            replica.ready, replica.state = False, "loading"
            replica.described = BY_FILES if described else None
            models = catalog(replica.url)
            async with running_gateway(models=models, wait=False) as gateway:
                await until(lambda: replica.probes > 1)
                await scenario(replica, gateway)

    asyncio.run(run())


async def tag(gateway: Gateway) -> dict[str, Any]:
    _, body = await gateway.get("/api/tags")
    found: dict[str, Any] = body["models"][0]
    return found


async def show(gateway: Gateway, **body: Any) -> dict[str, Any]:
    async with gateway.http.post(
        gateway.url + "/api/show", json={"model": MODEL, **body}
    ) as response:
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        ShowResponse.model_validate(found)
        return found


async def become_ready(replica: FakeInference, gateway: Gateway) -> None:
    replica.ready = True
    await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)


def test_a_loading_model_is_described_as_a_loaded_one() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        before, shown = await tag(gateway), await show(gateway)
        assert (before["size"], before["digest"]) == (988_065_536, "ab" * 32)
        assert before["details"]["quantization_level"] == "BF16"
        assert before["capabilities"] == ["completion", "tools"]
        _, body = await gateway.get("/v1/models")
        assert body["data"][0]["max_model_len"] == 32_768
        (process,) = (await gateway.get("/api/ps"))[1]["models"]
        assert (process["size"], process["state"]) == (988_065_536, "loading")
        assert "load_duration" not in process
        await become_ready(replica, gateway)
        assert (await tag(gateway), await show(gateway)) == (before, shown)
        (process,) = (await gateway.get("/api/ps"))[1]["models"]
        assert (process["size"], process["load_duration"]) == (1_200_000_000, 7)

    loading(scenario)


def test_a_process_of_an_earlier_release_describes_a_loaded_model() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        assert (await tag(gateway))["size"] == 0
        await become_ready(replica, gateway)
        assert (await tag(gateway))["size"] == 988_065_536

    loading(scenario, described=False)


def test_what_is_known_of_the_same_files_as_loaded_stays() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        await become_ready(replica, gateway)
        replica.ready = False
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 0)
        (process,) = (await gateway.get("/api/ps"))[1]["models"]
        assert process["size"] == 1_200_000_000
        replica.described = BY_FILES.model_copy(update={"digest": "cd" * 32})
        replica.state = "starting"
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 0)
        probes = replica.probes
        await until(lambda: replica.probes > probes + 1)
        replica.state = "loading"
        probes = replica.probes
        await until(lambda: replica.probes > probes + 2)
        assert (await tag(gateway))["digest"] == "cd" * 32

    loading(scenario)


def test_the_catalog_describes_a_model_without_a_process() -> None:
    async def scenario() -> None:
        (entry,) = catalog("http://127.0.0.1:9").models.values()
        models = Catalog(models={KEY: entry.model_copy(update={"info": BY_FILES})})
        async with running_gateway(models=models, wait=False) as gateway:
            assert (await tag(gateway))["digest"] == "ab" * 32
            assert (await gateway.get("/api/ps"))[1] == {"models": []}

    asyncio.run(scenario())


def test_metadata_has_the_keys_that_clients_read() -> None:
    async def scenario(_replica: FakeInference, gateway: Gateway) -> None:
        info = (await show(gateway))["model_info"]
        expected = {
            "general.architecture": "qwen2",
            "general.file_type": 32,
            "general.parameter_count": 494_032_768,
            "qwen2.attention.head_count": 14,
            "qwen2.attention.head_count_kv": 2,
            "qwen2.attention.key_length": 64,
            "qwen2.attention.value_length": 64,
            "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
            "qwen2.rope.dimension_count": 64,
            "qwen2.rope.freq_base": 1e6,
            "qwen2.vocab_size": 151_936,
            "tokenizer.ggml.tokens": None,
            "tokenizer.ggml.merges": None,
            "tokenizer.ggml.token_type": None,
        }
        assert {key: info[key] for key in expected} == expected

    loading(scenario)


@pytest.mark.parametrize(
    ("stored_as", "level", "file_type"),
    [("F16", "F16", 1), ("F32", "F32", 0), ("GPTQ-INT4", "GPTQ-INT4", None), ("", "BF16", 32)],
)
def test_the_quantization_is_that_of_the_files(
    stored_as: str, level: str, file_type: int | None
) -> None:
    async def scenario() -> None:
        info = LOADED.model_copy(update={"stored_as": stored_as})
        async with fake_inference(info=info) as fake, running_gateway(fake) as gateway:
            shown = await show(gateway)
            assert shown["details"]["quantization_level"] == level
            assert shown["model_info"].get("general.file_type") == file_type

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("quantization", "level", "file_type"), [("int8", "Q8_0", 7), ("int4", "Q4_0", 2)]
)
def test_weights_quantized_on_load_have_the_name_of_gguf(
    quantization: str, level: str, file_type: int
) -> None:
    async def scenario() -> None:
        info = LOADED.model_copy(update={"quantization": quantization})
        async with fake_inference(info=info) as fake, running_gateway(fake) as gateway:
            shown = await show(gateway)
            assert shown["details"]["quantization_level"] == level
            assert shown["model_info"]["general.file_type"] == file_type

    asyncio.run(scenario())


@pytest.mark.parametrize("ready", [False, True])
def test_a_verbose_response_has_tensors_and_vocabulary(ready: bool) -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        if ready:
            await become_ready(replica, gateway)
        replica.details = DETAILS
        shown = await show(gateway, verbose=True)
        assert shown["tensors"] == [{"name": "w", "type": "BF16", "shape": [2, 3]}]
        arrays = {key: shown["model_info"][f"tokenizer.ggml.{key}"] for key in ARRAYS}
        assert arrays == {"tokens": ["a", "世"], "merges": ["a b"], "token_type": [1, 3]}
        assert "tensors" not in await show(gateway)

    loading(scenario)


ARRAYS = ("tokens", "merges", "token_type")


def test_a_verbose_response_without_a_process_that_tells() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        plain = await show(gateway)
        for details in (None, b"[]\n"):
            replica.details = details
            assert await show(gateway, verbose=True) == plain
        await replica.stop()
        assert await show(gateway, verbose=True) == plain

    loading(scenario)


def test_a_large_verbose_response_is_bounded() -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, max_response_bytes=100_000) as gateway,
        ):
            fake.details = b'["%s"]\n[]\n[]\n[]\n' % (b"x" * 200_000)
            status, _, _ = await gateway.post("/api/show", {"model": MODEL, "verbose": True})
            assert status == 400

    asyncio.run(scenario())
