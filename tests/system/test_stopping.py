"""`up` is stopped, or killed, while answers are written."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from system.asking import DONE, chat, payloads, run
from system.conftest import THREADS
from system.deployment import Deployment, deployed, wait_until
from system.models import ENDLESS

TOKENS = 500
DRAIN_SECONDS = 120
ORPHAN_SECONDS = 10.0
_BEGUN = 5


@pytest.fixture
def alone(tmp_path: Path, hub_cache: Path) -> Iterator[Deployment]:
    """Serve one model for one test, which ends it."""
    drain = ("--drain-seconds", str(DRAIN_SECONDS))
    with deployed(tmp_path, ENDLESS, *drain, *THREADS, HF_HUB_CACHE=str(hub_cache)) as deployment:
        yield deployment


class Stream:
    """A long answer that is being read."""

    def __init__(self, path: str, **fields: object) -> None:
        self.under_way = asyncio.Event()
        self.parts: list[bytes] = []
        self._path = path
        self._body = chat(ENDLESS, "Hello", stream=True, **fields)

    async def read(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.post(url + self._path, json=self._body) as response:
            async for part in payloads(response):
                self.parts.append(part)
                if len(self.parts) == _BEGUN:
                    self.under_way.set()


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


def test_sigterm_lets_answers_finish_and_leaves_no_process(alone: Deployment) -> None:
    ollama, openai = _streams()
    signalled: list[datetime] = []

    async def scenario(http: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in (ollama, openai):
                group.create_task(stream.read(http, alone.url))
            await asyncio.gather(ollama.under_way.wait(), openai.under_way.wait())
            signalled.append(datetime.now(UTC))
            alone.signal(signal.SIGTERM)

    run(scenario)
    last = json.loads(ollama.parts[-1])
    assert (last["done_reason"], last["eval_count"]) == ("length", TOKENS)
    assert datetime.fromisoformat(last["created_at"]) > signalled[0]
    usage = json.loads(openai.parts[-2])["usage"]
    assert usage["completion_tokens"] == TOKENS
    assert openai.parts[-1] == DONE
    assert alone.end() == 0
    assert alone.survivors() == []
    assert alone.complaints() == []


def test_nothing_survives_up_when_it_is_killed(alone: Deployment) -> None:
    stream, _ = _streams()
    killed_at: list[float] = []

    async def scenario(http: aiohttp.ClientSession) -> None:
        reading = asyncio.create_task(stream.read(http, alone.url))
        await stream.under_way.wait()
        killed_at.append(time.monotonic())
        alone.signal(signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await reading

    run(scenario)
    assert alone.end() == -signal.SIGKILL
    wait_until(lambda: not alone.survivors(), "every child is gone", ORPHAN_SECONDS)
    print(f"no process left {time.monotonic() - killed_at[0]:.2f} s after")
