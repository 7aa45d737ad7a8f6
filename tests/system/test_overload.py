"""More requests than slots: rejected at once, and the accepted ones are served."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import ollama
import openai
import pytest

from system.conftest import THREADS
from system.deployment import Deployment, deployed
from system.models import ENDLESS
from system.requests import Json, chat, get, payloads, run, until

RUNNING = WAITING = 2
TOKENS = 1900
"""Nearly the whole context: the slots stay occupied during the rejections."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, hub_cache: Path) -> Iterator[Deployment]:
    """Serve one model with four slots."""
    with deployed(
        tmp_path_factory.mktemp("small"),
        ENDLESS,
        *THREADS,
        HF_HUB_CACHE=str(hub_cache),
        SIZEUP_INFERENCE_MAX_NUM_SEQS=str(RUNNING),
        SIZEUP_INFERENCE_MAX_WAITING=str(WAITING),
        SIZEUP_INFERENCE_COMPILED_KERNELS="false",  # slower: the slots stay occupied for seconds
    ) as deployment:
        yield deployment


async def _long_response(http: aiohttp.ClientSession, url: str, seed: int) -> Json:
    """Return the last line of a long stream."""
    options = {"num_predict": TOKENS, "seed": seed}
    body = chat(ENDLESS, "Hello", stream=True, options=options)
    async with http.post(f"{url}/api/chat", json=body) as response:
        parts = [part async for part in payloads(response)]
    last: Json = json.loads(parts[-1])
    return last


async def _check_rejections(http: aiohttp.ClientSession, url: str) -> None:
    for stream in (True, False):
        body = chat(ENDLESS, "Hello", stream=stream)
        async with http.post(f"{url}/api/chat", json=body) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) >= 1
            assert set(json.loads(await response.text())) == {"error"}
        async with http.post(f"{url}/v1/chat/completions", json=body) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) >= 1
            error = json.loads(await response.text())["error"]
            assert error["code"] == error["type"] == "rate_limit_exceeded"


async def _check_clients(client: ollama.AsyncClient, other: openai.AsyncOpenAI) -> None:
    with pytest.raises(ollama.ResponseError) as rejection:
        await client.chat(ENDLESS, [{"role": "user", "content": "Hello"}])
    assert rejection.value.status_code == 503
    with pytest.raises(openai.RateLimitError):
        await other.completions.create(model=ENDLESS, prompt="Hello")


def test_a_full_queue_rejects_at_once_and_serves_the_accepted(small: Deployment) -> None:
    async def stats(http: aiohttp.ClientSession) -> tuple[int, int]:
        now = await get(http, f"{small.inference_url(ENDLESS)}/internal/v1/stats")
        return now["running"], now["waiting"]

    async def scenario(http: aiohttp.ClientSession) -> None:
        async def is_full() -> bool:
            return await stats(http) == (RUNNING, WAITING)

        async with (
            ollama.AsyncClient(host=small.url) as client,
            openai.AsyncOpenAI(base_url=f"{small.url}/v1", api_key="none", max_retries=0) as other,
            asyncio.TaskGroup() as group,
        ):
            accepted = [
                group.create_task(_long_response(http, small.url, seed))
                for seed in range(RUNNING + WAITING)
            ]
            await until(is_full)
            await _check_rejections(http, small.url)
            await _check_clients(client, other)
            assert await is_full()  # no accepted request was dropped
        for task in accepted:
            last = task.result()
            assert (last["done"], last["eval_count"]) == (True, TOKENS)
        assert await stats(http) == (0, 0)

    run(scenario)
