"""The inference process is killed during generation: streams fail at once, and it restarts.

Requests that arrive meanwhile are queued until it is ready.
"""

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

from system.deployment import Deployment
from system.models import ENDLESS, ENDLESS_KEY, TOY
from system.requests import DEADLINE_SECONDS, DONE, chat, get, payloads, post, run, until

BOUND_SECONDS = 5.0
"""Takes under 1 s on an idle machine; the bound excludes only timeouts."""
_BEGUN = 3
"""Chunks after which a stream counts as running."""
_LONG = 1800
_OPTIONS = {"num_predict": _LONG}

MESSAGES = [{"role": "user", "content": "Hello"}]


class Reader:
    """Records when a long stream runs, and when it failed."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.failed_at = 0.0
        self._parts = 0

    def count_part(self) -> None:
        self._parts += 1
        if self._parts >= _BEGUN:
            self.running.set()

    def failed(self) -> None:
        self.failed_at = time.monotonic()


async def _read_raw(
    http: aiohttp.ClientSession, url: str, body: dict[str, object], reader: Reader
) -> list[bytes]:
    parts = []
    async with http.post(url, json=body) as response:
        async for part in payloads(response):
            parts.append(part)
            reader.count_part()
            if b'"error"' in part:
                reader.failed()
    return parts


async def _exhaust(stream: AsyncIterator[object], reader: Reader) -> None:
    async for _part in stream:
        reader.count_part()


async def ollama_line(http: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    body = chat(ENDLESS, "Hello", stream=True, options=_OPTIONS)
    *chunks, last = await _read_raw(http, f"{url}/api/chat", body, reader)
    assert not any(json.loads(part)["done"] for part in chunks)
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
        reader.failed()


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
        reader.failed()


async def one_object(http: aiohttp.ClientSession, url: str, reader: Reader) -> None:
    reader.running.set()
    body = chat(ENDLESS, "Hello", stream=False, options=_OPTIONS)
    async with http.post(f"{url}/api/chat", json=body) as response:
        assert response.status == 502
        assert set(json.loads(await response.text())) == {"error"}
        reader.failed()


READERS: tuple[Callable[[aiohttp.ClientSession, str, Reader], Awaitable[None]], ...] = (
    ollama_line,
    openai_event,
    ollama_client,
    openai_client,
    one_object,
)


async def kill_during_streams(http: aiohttp.ClientSession, serving: Deployment) -> dict[str, float]:
    """Kill the process during five streams; return the seconds until each failed."""
    readers = [Reader() for _ in READERS]
    async with asyncio.TaskGroup() as group:
        for read, reader in zip(READERS, readers, strict=True):
            group.create_task(_awaited(read(http, serving.url, reader)))
        await asyncio.gather(*(reader.running.wait() for reader in readers))
        await until(lambda: _all_running(http, serving))
        pid = serving.inference_pid(ENDLESS)
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
    return {
        read.__name__: reader.failed_at - killed_at
        for read, reader in zip(READERS, readers, strict=True)
    }


async def _all_running(http: aiohttp.ClientSession, serving: Deployment) -> bool:
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    return bool(stats["running"] == len(READERS))


async def _awaited(reading: Awaitable[None]) -> None:
    await reading


async def answered(http: aiohttp.ClientSession, url: str, *, stream: bool) -> None:
    """Send a request to a model that is restarting."""
    body = chat(ENDLESS, "Hello", stream=stream, max_tokens=2, options={"num_predict": 2})
    async with http.post(url, json=body) as response:
        assert response.status == 200
        assert b'"error"' not in await response.read()


def test_streams_fail_at_once_and_the_process_restarts(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        before = serving.inference_pid(ENDLESS)
        seconds = await kill_during_streams(http, serving)
        print({name: f"{value * 1000:.0f} ms" for name, value in seconds.items()})
        assert all(0 <= value < BOUND_SECONDS for value in seconds.values())
        async with asyncio.TaskGroup() as waiting:
            for path in ("/api/chat", "/v1/chat/completions"):
                for stream in (True, False):
                    waiting.create_task(answered(http, serving.url + path, stream=stream))
            await post(http, f"{serving.url}/api/chat", chat(TOY, "Hello", stream=False))

        async def is_ready() -> bool:
            health = await get(http, f"{serving.url}/health")
            return bool(health["replicas_ready"][ENDLESS_KEY])

        await until(is_ready)
        assert serving.inference_pid(ENDLESS) != before
        body = chat(ENDLESS, "Hello", max_tokens=5, stream=False)
        reply = await post(http, f"{serving.url}/v1/chat/completions", body)
        assert reply["usage"]["completion_tokens"] == 5
        assert "killed by SIGKILL" in serving.output

    run(scenario)
