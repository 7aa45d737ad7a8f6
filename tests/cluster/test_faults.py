"""A pod dies in the middle of answers: those on it are told, and nobody else notices."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from cluster.clients import HELLO, ollama_at, openai_at
from cluster.kubectl import Json
from cluster.release import Release

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
_BEGUN = 3
"""Parts after which a stream is under way."""
_LONG = "word " * 400
"""The fake engine says it again, a byte in 20 ms: 40 seconds, many times what a kill takes."""
_TOLD_SECONDS = 60.0
"""From the pod's death to the readers' knowing, which is a matter of a second."""
_WHOLE_SECONDS = 180.0
"""For the other streams, whose pod shares two cores with all that is started anew."""


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    """One gateway, so that four streams spread evenly over two pods."""
    made = new_release("faults")
    size = {"id": MODEL, "engine": "fake", "replicas": 2}
    made.install({"models": {"small": size}, "gateway": {"replicas": 1}})
    made.wait()
    return made


class Reader:
    """Reads a stream to its end, in one of the dialects."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.under_way = asyncio.Event()
        self.parts: list[bytes] = []

    async def read(self, http: aiohttp.ClientSession) -> None:
        async for line in self._lines(http):
            self.parts.append(line.removeprefix(b"data: "))
            if len(self.parts) >= _BEGUN:
                self.under_way.set()

    async def _lines(self, http: aiohttp.ClientSession) -> AsyncIterator[bytes]:
        messages = [{"role": "user", "content": _LONG}]
        body = {"model": MODEL, "messages": messages, "stream": True}
        async with http.post(self.path, json=body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.strip():
                    yield line.strip()

    def error(self) -> Json | str | None:
        """Return the error that the stream ended with."""
        found: Json | str | None = self._last().get("error")
        return found

    def is_whole(self) -> bool:
        """Tell whether the stream ended as its dialect says that an answer does."""
        if self.path == "/api/chat":
            return self._last().get("done_reason") == "stop"
        finished = self._last().get("choices", [{}])[0].get("finish_reason")
        return finished == "stop" and self.parts[-1] == b"[DONE]"

    def _last(self) -> Json:
        found: Json = json.loads([part for part in self.parts if part != b"[DONE]"][-1])
        return found


def test_readers_of_a_killed_pod_are_told(release: Release) -> None:
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
            await asyncio.wait_for(reader.under_way.wait(), _TOLD_SECONDS)
        await asyncio.to_thread(_kill, release)
        done = await _ended(tasks, 2)
        await asyncio.wait_for(asyncio.gather(*tasks), _WHOLE_SECONDS)
    both = list(zip(readers, tasks, strict=True))
    _check([reader.error() for reader, task in both if task in done])
    others = [reader for reader, task in both if task not in done]
    assert all(reader.is_whole() for reader in others), [reader.parts[-2:] for reader in others]


async def _ended(tasks: list[asyncio.Task[None]], number: int) -> set[asyncio.Task[None]]:
    """Return those that have ended, once they are so many."""
    async with asyncio.timeout(_TOLD_SECONDS):
        done: set[asyncio.Task[None]] = set()
        left = set(tasks)
        while len(done) < number:
            ended, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            done |= ended
    return done


def _kill(release: Release) -> None:
    pod = release.pods("small")[0]["metadata"]["name"]
    release.kubectl("delete", f"pod/{pod}", "--grace-period=0", "--force")


def _check(told: list[Json | str | None]) -> None:
    """One reader of each dialect was on the pod, and its error is in the dialect's own shape."""
    lines = [error for error in told if isinstance(error, str)]
    objects = [error for error in told if isinstance(error, dict)]
    assert len(lines) == len(objects) == 1, told
    assert lines[0]
    assert objects[0]["type"] == "server_error"
