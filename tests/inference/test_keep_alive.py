"""keep_alive over HTTP."""

import asyncio
import math
from typing import Any

from inference.serving import DEADLINE_SECONDS, Process, running, text_prompt, until
from sizeup_inference.fake.engine import FakeLimits
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode
from sizeup_wire.model import KeepAliveResponse, Stats

STUCK = FakeLimits(token_seconds=600.0)
"""Keeps admitted requests in prefill for longer than any test."""


async def stats_of(process: Process) -> Stats:
    status, body = await process.get(routes.STATS)
    assert status == 200
    return Stats.model_validate(body)


async def set_keep_alive(process: Process, seconds: float | None) -> float | None:
    status, body = await process.post(routes.KEEP_ALIVE, {"keep_alive_seconds": seconds})
    assert status == 200
    return KeepAliveResponse.model_validate(body).expires_at


async def until_idle(process: Process) -> Stats:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (stats := await stats_of(process)).idle:  # noqa: ASYNC110  # the state has no event
            await asyncio.sleep(0.002)
        return stats


def left(stats: Stats) -> float:
    assert stats.expires_at is not None
    return stats.expires_at - stats.now


def test_without_a_setting_the_model_never_expires() -> None:
    async def scenario() -> Stats:
        async with running() as process:
            return await stats_of(process)

    stats = asyncio.run(scenario())
    assert stats.idle
    assert stats.expires_at is None


def test_the_setting_applies_from_readiness_and_from_each_use() -> None:
    async def scenario() -> tuple[Stats, Stats]:
        async with running(keep_alive_seconds=1000) as process:
            fresh = await stats_of(process)
            await process.generate(prompt=text_prompt("x"))
            return fresh, await until_idle(process)

    fresh, used = asyncio.run(scenario())
    assert 0 < left(fresh) <= 1000
    assert fresh.expires_at is not None
    assert used.expires_at is not None
    assert used.expires_at > fresh.expires_at


def test_a_request_sets_the_keep_alive() -> None:
    prompt = text_prompt("x")
    bodies: dict[str, dict[str, Any]] = {
        routes.GENERATE: {"prompt": prompt},
        routes.EMBEDDINGS: {"prompts": [prompt]},
    }

    async def scenario() -> None:
        async with running(keep_alive_seconds=100) as process:
            for path, body in bodies.items():
                for seconds, expired in ((0, True), (5000, False), (-1, False)):
                    fields = body | {"keep_alive_seconds": seconds}
                    async with process.http.post(process.url + path, json=fields) as response:
                        assert response.status == 200
                        await response.read()
                    stats = await until_idle(process)
                    assert (stats.expires_at is None) == (seconds < 0)
                    assert ((stats.expires_at or math.inf) <= stats.now) == expired

    asyncio.run(scenario())


def test_running_requests_prevent_expiry_until_the_client_disconnects() -> None:
    async def scenario() -> tuple[Stats, Stats]:
        async with running(STUCK) as process:
            request = {"prompt": text_prompt("x"), "keep_alive_seconds": 0}
            task = asyncio.create_task(process.post(routes.GENERATE, request))
            await until(lambda: process.engine.stats().running == 1)
            await set_keep_alive(process, 0)
            busy = await stats_of(process)
            task.cancel()
            return busy, await until_idle(process)

    busy, expired = asyncio.run(scenario())
    assert not busy.idle
    assert expired.expires_at is not None
    assert busy.now < expired.expires_at <= expired.now


def test_a_rejected_request_counts_as_use() -> None:
    async def scenario() -> tuple[Stats, Stats]:
        async with running(keep_alive_seconds=1000) as process:
            before = await stats_of(process)
            assert (await process.post(routes.GENERATE, {"prompt": text_prompt("")}))[0] == 400
            return before, await until_idle(process)

    before, after = asyncio.run(scenario())
    assert before.expires_at is not None
    assert after.expires_at is not None
    assert after.expires_at > before.expires_at


def test_keep_alive_is_set_without_generating() -> None:
    async def scenario() -> None:
        async with running(keep_alive_seconds=100) as process:
            assert await set_keep_alive(process, None) is not None
            assert await set_keep_alive(process, -1) is None
            assert await set_keep_alive(process, None) is None
            assert (await until_idle(process)).expires_at is None
            expired = await set_keep_alive(process, 0)
            stats = await until_idle(process)
            assert expired is not None
            assert stats.expires_at is not None
            assert stats.expires_at <= stats.now
            assert process.engine.stats().prompt_tokens == 0

    asyncio.run(scenario())


def test_an_invalid_keep_alive_is_rejected() -> None:
    async def scenario() -> None:
        async with running() as process:
            for body in ({}, {"keep_alive_seconds": "5m"}, b"{", b"[]"):
                status, failure = await process.post(routes.KEEP_ALIVE, body)
                assert (status, failure["code"]) == (400, ErrorCode.INVALID_REQUEST)
            assert (await stats_of(process)).expires_at is None

    asyncio.run(scenario())


def test_a_draining_process_rejects_keep_alive() -> None:
    async def scenario() -> tuple[int, Any]:
        async with running() as process:
            process.drain.begin()
            return await process.post(routes.KEEP_ALIVE, {"keep_alive_seconds": -1})

    status, failure = asyncio.run(scenario())
    assert (status, failure["code"]) == (503, ErrorCode.DRAINING)
