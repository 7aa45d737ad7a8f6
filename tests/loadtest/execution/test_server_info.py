import asyncio
import socket
from collections.abc import Sequence

import aiohttp
import pytest

from loadtest.fake_server import FakeServer, Response, fake_server, status
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.errors import TargetError
from sizeup_loadtest.execution import server_info

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


def check(names: Sequence[str], **responses: Response) -> None:
    async def run() -> None:
        async with fake_server(**responses) as fake, aiohttp.ClientSession() as session:
            await server_info.check_models(session, fake.url, names)

    asyncio.run(run())


def test_model_info_comes_from_ollamas_api() -> None:
    async def run() -> tuple[FakeServer, dict[str, ModelInfo]]:
        responses = {
            "tags": status(200, TAGS),
            "show": status(200, SAMPLES_PER_STAGE),
            "ps": status(200, PS),
        }
        async with fake_server(**responses) as fake, aiohttp.ClientSession() as session:
            return fake, dict(await server_info.model_info(session, fake.url, ["a", "b"]))

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


@pytest.mark.parametrize("value", [{}, {"model_info": 3, "details": []}, {"model_info": None}])
def test_unreported_values_are_unknown(value: dict[str, object]) -> None:
    assert server_info.to_model_info(value, {}, {}) == ModelInfo()


def test_names_of_both_apis_are_accepted() -> None:
    check(["x", "b"], models=status(200, {"data": [{"id": "x"}]}), tags=status(200, TAGS))


def test_a_missing_model_is_an_error_with_the_available_ones() -> None:
    with pytest.raises(TargetError, match=r"y \(available: x\)"):
        check(["x", "y"], models=status(200, {"data": [{"id": "x"}]}))


def test_a_server_without_a_list_is_not_checked() -> None:
    check(["x"])
    check(["x"], models=status(200, b"<html>"), tags=status(500, {}))


def test_an_unreachable_server_is_an_error() -> None:
    async def run(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await server_info.check_models(session, url, ["x"])

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
            asyncio.run(run(f"http://127.0.0.1:{taken.getsockname()[1]}"))
