"""A pod is killed during streams: its clients get an error, other streams are unaffected."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from cluster.clients import HELLO, ollama_at, openai_at
from cluster.kubectl import Json
from cluster.release import Release

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
_STARTED_CHUNKS = 3
"""Number of chunks after which a stream counts as started."""
_LONG = "word " * 400
"""The fake engine repeats it, a byte every 20 ms: 40 seconds, far longer than a kill takes."""
_ERROR_SECONDS = 60.0
"""From the kill to the clients' errors; normally a second."""
_COMPLETE_SECONDS = 180.0
"""For the other streams, whose pod shares two cores with the restarting pods."""


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    """A single gateway, which balances four streams evenly over two pods."""
    made = new_release("faults")
    small = {"id": MODEL, "engine": "fake", "replicas": 2}
    made.install({"models": {"small": small}, "gateway": {"replicas": 1}})
    made.wait()
    return made


class Reader:
    """Reads a stream of one of the two APIs to its end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.started = asyncio.Event()
        self.chunks: list[bytes] = []

    async def read(self, http: aiohttp.ClientSession) -> None:
        async for line in self._lines(http):
            self.chunks.append(line.removeprefix(b"data: "))
            if len(self.chunks) >= _STARTED_CHUNKS:
                self.started.set()

    async def _lines(self, http: aiohttp.ClientSession) -> AsyncIterator[bytes]:
        messages = [{"role": "user", "content": _LONG}]
        body = {"model": MODEL, "messages": messages, "stream": True}
        async with http.post(self.path, json=body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.strip():
                    yield line.strip()

    def error(self) -> Json | str | None:
        """Return the error at the end of the stream."""
        found: Json | str | None = self._last().get("error")
        return found

    def is_complete(self) -> bool:
        """Whether the stream ended as its API specifies."""
        if self.path == "/api/chat":
            return self._last().get("done_reason") == "stop"
        finished = self._last().get("choices", [{}])[0].get("finish_reason")
        return finished == "stop" and self.chunks[-1] == b"[DONE]"

    def _last(self) -> Json:
        found: Json = json.loads([chunk for chunk in self.chunks if chunk != b"[DONE]"][-1])
        return found


def test_clients_of_a_killed_pod_get_an_error(release: Release) -> None:
    asyncio.run(_kill_one_of_two(release))
    with ollama_at(release.url) as ollama_client:
        ollama_client.chat(MODEL, [HELLO])
    with openai_at(release.url) as openai_client:
        openai_client.chat.completions.create(model=MODEL, messages=[HELLO])


async def _kill_one_of_two(release: Release) -> None:
    readers = [Reader(path) for path in 2 * ["/api/chat"] + 2 * ["/v1/chat/completions"]]
    async with aiohttp.ClientSession(release.url) as http:
        tasks = []
        for reader in readers:
            tasks.append(asyncio.create_task(reader.read(http)))
            await asyncio.wait_for(reader.started.wait(), _ERROR_SECONDS)
        await asyncio.to_thread(_kill, release)
        done = await _ended(tasks, 2)
        await asyncio.wait_for(asyncio.gather(*tasks), _COMPLETE_SECONDS)
    both = list(zip(readers, tasks, strict=True))
    _check([reader.error() for reader, task in both if task in done])
    others = [reader for reader, task in both if task not in done]
    assert all(reader.is_complete() for reader in others), [reader.chunks[-2:] for reader in others]


async def _ended(tasks: list[asyncio.Task[None]], number: int) -> set[asyncio.Task[None]]:
    """Return the finished tasks once there are `number` of them."""
    async with asyncio.timeout(_ERROR_SECONDS):
        done: set[asyncio.Task[None]] = set()
        left = set(tasks)
        while len(done) < number:
            ended, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            done |= ended
    return done


def _kill(release: Release) -> None:
    pod = release.pods("small")[0]["metadata"]["name"]
    release.kubectl("delete", f"pod/{pod}", "--grace-period=0", "--force")


def _check(errors: list[Json | str | None]) -> None:
    """One client of each API was connected to the pod, and its error has the shape of its API."""
    lines = [error for error in errors if isinstance(error, str)]
    objects = [error for error in errors if isinstance(error, dict)]
    assert len(lines) == len(objects) == 1, errors
    assert lines[0]
    assert objects[0]["type"] == "server_error"
