import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from loadtest.fake_server import FakeServer, Response, fake_server, status
from sizeup_loadtest.config.models import ModelConfig, Target
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.errors import TargetError
from sizeup_loadtest.execution.servers import server_info
from store.certificates import make_certificate

SAMPLES_PER_STAGE = {
    "model_info": {
        "general.architecture": "qwen2",
        "general.parameter_count": 494_032_768,
        "qwen2.block_count": 24,
        "qwen2.context_length": 32768,
    },
    "details": {"quantization_level": "BF16"},
}
TAGS = {"models": [{"name": "a", "size": 988, "digest": "d"}, {"name": "b:latest", "size": 0}]}
PS = {"models": [{"name": "a", "size": 1100, "size_vram": 0, "load_duration": 2_500_000_000}]}


def connected(names: Sequence[str], api: Api | None = None, /, **responses: Response) -> Config:
    async def run() -> Config:
        async with fake_server(**responses) as fake:
            models = [ModelConfig(name=name) for name in names]
            return await server_info.connect(
                Config(target=Target(url=fake.url, api=api), models=tuple(models))
            )

    return asyncio.run(run())


def owned_by(owner: str) -> Response:
    return status(200, {"data": [{"id": "x", "owned_by": owner}]})


VERSION = status(200, {"version": "0.12.0"})


def test_model_info_comes_from_ollamas_api() -> None:
    async def run() -> tuple[FakeServer, dict[str, ModelInfo]]:
        responses = {
            "tags": status(200, TAGS),
            "show": status(200, SAMPLES_PER_STAGE),
            "ps": status(200, PS),
        }
        async with fake_server(**responses) as fake, aiohttp.ClientSession() as session:
            return fake, {
                name: await server_info.model_info(session, Server(fake.url, name))
                for name in ("a", "b")
            }

    fake, found = asyncio.run(run())
    assert found["a"] == ModelInfo(
        architecture="qwen2",
        parameters=494_032_768,
        layers=24,
        weight_bytes=988,
        memory_bytes=1100,
        device_bytes=0,
        load_seconds=2.5,
        dtype="BF16",
        context_length=32768,
        digest="d",
    )
    assert (found["b"].weight_bytes, found["b"].memory_bytes) == (None, None)
    assert (found["b"].device_bytes, found["b"].load_seconds) == (None, None)
    assert fake.bodies("/api/show") == [{"model": "a"}, {"model": "b"}]


def test_nothing_is_known_of_a_server_that_has_died() -> None:
    async def run() -> tuple[ModelInfo, bool]:
        server = Server("http://127.0.0.1:9", "a")
        async with aiohttp.ClientSession() as session:
            info = await server_info.model_info(session, server)
            return info, await server_info.has_ollama_api(session, server)

    assert asyncio.run(run()) == (ModelInfo(), False)


@pytest.mark.parametrize("value", [{}, {"model_info": 3, "details": []}, {"model_info": None}])
def test_unreported_values_are_unknown(value: dict[str, object]) -> None:
    assert server_info.to_model_info(value, {}, {}) == ModelInfo()


def test_names_of_both_apis_are_accepted() -> None:
    connected(["x", "b"], models=status(200, {"data": [{"id": "x"}]}), tags=status(200, TAGS))


def test_a_missing_model_is_an_error_with_the_available_ones() -> None:
    with pytest.raises(TargetError, match=r"y \(available: x\)"):
        connected(["x", "y"], models=status(200, {"data": [{"id": "x"}]}))


def test_a_server_without_a_list_is_not_checked() -> None:
    connected(["x"])
    connected(["x"], models=status(200, b"<html>"), tags=status(500, {}))


@pytest.mark.parametrize(
    ("responses", "api"),
    [
        ({"version": VERSION, "models": owned_by("library")}, "ollama"),
        ({"version": VERSION}, "ollama"),
        ({"version": VERSION, "models": owned_by("sizeup")}, "openai"),
        ({"models": owned_by("vllm")}, "openai"),
        ({"models": owned_by("library")}, "openai"),
        ({"version": status(200, b"<html>")}, "openai"),
        ({}, "openai"),
    ],
)
def test_the_api_is_found_out(responses: dict[str, Response], api: Api) -> None:
    assert [model.api for model in connected(["x"], **responses).models] == [api]
    assert connected(["x"], "openai", **responses).models[0].api == "openai"


def test_an_unreachable_server_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        config = Config(models=(ModelConfig(name="x", url=url),))
        with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
            asyncio.run(server_info.connect(config))


def test_a_private_authority_is_trusted_on_request(tmp_path: Path) -> None:
    tls, authority = make_certificate(tmp_path)

    async def api_of(verify: bool | str) -> Api | None:
        async with fake_server(tls) as fake:
            model = ModelConfig(name="x", url=fake.url, verify=verify)
            return (await server_info.connect(Config(models=(model,)))).models[0].api

    for verify in (str(authority), False):
        assert asyncio.run(api_of(verify)) == "openai"
    with pytest.raises(TargetError, match=r"models: invalid certificate: self-signed certificate"):
        asyncio.run(api_of(True))
