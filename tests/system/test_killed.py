"""The inference process dies in the middle of answers: all are told at once, and it comes back."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import ollama
import openai
import pytest

from system.asking import DEADLINE_SECONDS, DONE, chat, get, payloads, post, run, until
from system.deployment import Deployment
from system.models import ENDLESS, ENDLESS_KEY, TOY

BOUND_SECONDS = 5.0
"""Told within 1 s where nothing else runs; this much says only that no deadline had to pass."""
_BEGUN = 3
"""Parts after which a stream is under way."""
_LONG = 1800
_OPTIONS = {"num_predict": _LONG}

MESSAGES = [{"role": "user", "content": "Hello"}]


class Reader:
    """Something that reads a long stream, says when it is under way, and when it was told."""

    def __init__(self) -> None:
        self.under_way = asyncio.Event()
        self.told_at = 0.0
        self._parts = 0

    def saw_part(self) -> None:
        self._parts += 1
        if self._parts >= _BEGUN:
            self.under_way.set()

    def told(self) -> None:
        self.told_at = time.monotonic()


async def _read_raw(
    http: aiohttp.ClientSession, url: str, body: dict[str, object], reader: Reader
) -> list[bytes]:
    parts = []
    async with http.post(url, json=body) as response:
        async for part in payloads(response):
            parts.append(part)
            reader.saw_part()
            if b'"error"' in part:
                reader.told()
    return parts


async def _exhaust(stream: AsyncIterator[object], reader: Reader) -> None:
    async for _part in stream:
        reader.saw_part()


async def ollama_line(http: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    body = chat(ENDLESS, "Hello", stream=True, options=_OPTIONS)
    *said, last = await _read_raw(http, f"{url}/api/chat", body, reader)
    assert not any(json.loads(part)["done"] for part in said)
    error = json.loads(last)
    assert set(error) == {"error"}
    assert "inference process" in error["error"]


async def openai_event(http: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    body = chat(ENDLESS, "Hello", stream=True, max_tokens=_LONG)
    *_, last, end = await _read_raw(http, f"{url}/v1/chat/completions", body, reader)
    assert end == DONE
    error = json.loads(last)["error"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_lost")


async def ollama_client(_: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    async with ollama.AsyncClient(host=url, timeout=DEADLINE_SECONDS) as client:
        stream = await client.chat(ENDLESS, MESSAGES, stream=True, options=_OPTIONS)
        with pytest.raises(ollama.ResponseError, match="inference process"):
            await _exhaust(stream, reader)
        reader.told()


async def openai_client(_: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", timeout=DEADLINE_SECONDS, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(
            model=ENDLESS,
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=_LONG,
            stream=True,
        )
        with pytest.raises(openai.APIError) as raised:
            await _exhaust(stream, reader)
        assert raised.value.code == "upstream_lost"
        reader.told()


async def one_object(http: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    reader.under_way.set()
    body = chat(ENDLESS, "Hello", stream=False, options=_OPTIONS)
    async with http.post(f"{url}/api/chat", json=body) as response:
        assert response.status == 502
        assert set(json.loads(await response.text())) == {"error"}
        reader.told()


READERS: tuple[Callable[[aiohttp.ClientSession, str, Reader], Awaitable[None]], ...] = (
    ollama_line,
    openai_event,
    ollama_client,
    openai_client,
    one_object,
)


async def kill_under_way(http: aiohttp.ClientSession, serving: Deployment) -> dict[str, float]:
    """Kill the process under five readers; return the seconds until each was told."""
    readers = [Reader() for _ in READERS]
    async with asyncio.TaskGroup() as group:
        for read, reader in zip(READERS, readers, strict=True):
            group.create_task(_awaited(read(http, serving.url, reader)))
        await asyncio.gather(*(reader.under_way.wait() for reader in readers))
        await until(lambda: _all_running(http, serving))
        pid = serving.inference_pid(ENDLESS)
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
    return {
        read.__name__: reader.told_at - killed_at
        for read, reader in zip(READERS, readers, strict=True)
    }


async def _all_running(http: aiohttp.ClientSession, serving: Deployment) -> bool:
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    return bool(stats["running"] == len(READERS))


async def _awaited(reading: Awaitable[None]) -> None:
    await reading


async def refused(http: aiohttp.ClientSession, url: str, *, stream: bool) -> dict[str, object]:
    """Ask a model that is down; return the reply."""
    async with http.post(url, json=chat(ENDLESS, "Hello", stream=stream)) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) >= 1
        reply: dict[str, object] = json.loads(await response.text())
        return reply


async def check_refusals(http: aiohttp.ClientSession, url: str) -> None:
    text = f"model '{ENDLESS}' is loading, please try again"
    for stream in (True, False):
        assert await refused(http, f"{url}/api/chat", stream=stream) == {"error": text}
        reply = await refused(http, f"{url}/v1/chat/completions", stream=stream)
        assert reply["error"] == {
            "message": text,
            "type": "unavailable_error",
            "param": None,
            "code": "model_not_ready",
        }


def test_a_killed_process_is_told_of_at_once_and_comes_back(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        before = serving.inference_pid(ENDLESS)
        seconds = await kill_under_way(http, serving)
        print({name: f"{value * 1000:.0f} ms" for name, value in seconds.items()})
        assert all(0 <= value < BOUND_SECONDS for value in seconds.values())
        await check_refusals(http, serving.url)
        await post(http, f"{serving.url}/api/chat", chat(TOY, "Hello", stream=False))

        async def is_back() -> bool:
            health = await get(http, f"{serving.url}/health")
            return bool(health["replicas_ready"][ENDLESS_KEY])

        await until(is_back)
        assert serving.inference_pid(ENDLESS) != before
        body = chat(ENDLESS, "Hello", max_tokens=5, stream=False)
        reply = await post(http, f"{serving.url}/v1/chat/completions", body)
        assert reply["usage"]["completion_tokens"] == 5
        assert "killed by SIGKILL" in serving.output

    run(scenario)
