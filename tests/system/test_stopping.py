"""`up` is stopped during streams."""

import asyncio
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from system.conftest import THREADS
from system.deployment import Deployment, deployed, wait_until
from system.models import ENDLESS
from system.requests import DONE, chat, payloads, run

TOKENS = 1900
DRAIN_SECONDS = 120
_BEGUN = 5
ORPHAN_SECONDS = 10.0


@pytest.fixture
def deployment(tmp_path: Path, hub_cache: Path) -> Iterator[Deployment]:
    """Serve one model for one test, which stops it."""
    drain = ("--drain-seconds", str(DRAIN_SECONDS))
    with deployed(tmp_path, ENDLESS, *drain, *THREADS, HF_HUB_CACHE=str(hub_cache)) as deployment:
        yield deployment


class Stream:
    """A client of a long stream."""

    def __init__(self, path: str, **fields: object) -> None:
        self.running = asyncio.Event()
        self.parts: list[bytes] = []
        self._path = path
        self._body = chat(ENDLESS, "Hello", stream=True, **fields)

    async def read(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.post(url + self._path, json=self._body) as response:
            async for part in payloads(response):
                self.parts.append(part)
                if len(self.parts) == _BEGUN:
                    self.running.set()


def _streams() -> tuple[Stream, Stream]:
    options = {"num_predict": TOKENS}
    return (
        Stream("/api/chat", options=options),
        Stream(
            "/v1/chat/completions",
            max_tokens=TOKENS,
            stream_options={"include_usage": True},
        ),
    )


def test_sigterm_drains_streams_and_leaves_no_process(deployment: Deployment) -> None:
    ollama, openai = _streams()
    signalled: list[datetime] = []

    async def scenario(http: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in (ollama, openai):
                group.create_task(stream.read(http, deployment.url))
            await asyncio.gather(ollama.running.wait(), openai.running.wait())
            signalled.append(datetime.now(UTC))
            deployment.signal(signal.SIGTERM)

    run(scenario)
    last = json.loads(ollama.parts[-1])
    assert (last["done_reason"], last["eval_count"]) == ("length", TOKENS)
    assert datetime.fromisoformat(last["created_at"]) > signalled[0]
    usage = json.loads(openai.parts[-2])["usage"]
    assert usage["completion_tokens"] == TOKENS
    assert openai.parts[-1] == DONE
    assert deployment.exit_code() == 0
    assert deployment.survivors() == []
    assert deployment.error_records() == []


def test_sigkill_leaves_no_process(deployment: Deployment) -> None:
    stream, _ = _streams()

    async def scenario(http: aiohttp.ClientSession) -> None:
        reading = asyncio.create_task(stream.read(http, deployment.url))
        await stream.running.wait()
        deployment.signal(signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await reading

    run(scenario)
    assert deployment.exit_code() == -signal.SIGKILL
    wait_until(lambda: not deployment.survivors(), "every child has exited", ORPHAN_SECONDS)
