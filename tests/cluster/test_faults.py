"""A pod is killed during streams: its clients get an error, other streams are unaffected."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from cluster.clients import HELLO, ollama_at, openai_at
from cluster.kubectl import Json
from cluster.release import Release
from cluster.streams import Reader

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
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


def test_clients_of_a_killed_pod_get_an_error(release: Release) -> None:
    asyncio.run(_kill_one_of_two(release))
    with ollama_at(release.url) as ollama_client:
        ollama_client.chat(MODEL, [HELLO])
    with openai_at(release.url) as openai_client:
        openai_client.chat.completions.create(model=MODEL, messages=[HELLO])


async def _kill_one_of_two(release: Release) -> None:
    readers = [
        Reader(path, MODEL, _LONG) for path in 2 * ["/api/chat"] + 2 * ["/v1/chat/completions"]
    ]
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
