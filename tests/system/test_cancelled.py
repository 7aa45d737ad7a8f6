"""Hundreds of clients that disconnect at random moments leave no requests or memory behind."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from system.conftest import KV_MIB
from system.deployment import Deployment
from system.models import ENDLESS, TOY
from system.processes import resident_mib
from system.requests import chat, get, post, run, samples, until

WARM_UP = 100
REQUESTS = 500
AT_ONCE = 40
TOKENS = 1000
"""Of a response so long that on all but the fastest machines every client leaves before its end."""
SEED = 20261123
GROWTH_MIB = KV_MIB + 8.0
"""The KV pool may not be resident before; the rest is kept by allocators after the peak."""

_LONG_PROMPT_WORDS = 600
_MAX_WAIT_SECONDS = 0.5
_MAX_LINES = 150
"""Of the raw response: the first eight are headers, then three per token."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A request, and when its client disconnects."""

    path: str
    body: dict[str, Any]
    lines: int | None
    """After this many lines of a stream: in its headers or during generation."""
    seconds: float
    """Else after this time: queued, in prefill, or during generation."""
    abort: bool
    """By a reset instead of a FIN."""


def random_disconnect(rng: Random) -> Disconnect:
    """Draw a long request and the moment of the disconnect."""
    words = _LONG_PROMPT_WORDS if rng.random() < 0.1 else rng.randrange(1, 10)
    prompt = " ".join(rng.choices(("one", "two", "red", "blue"), k=words))
    stream, seed = rng.random() < 0.7, rng.randrange(1000)
    ollama = {"options": {"num_predict": TOKENS, "seed": seed}}
    openai = {"max_tokens": TOKENS, "seed": seed}
    path, fields = rng.choice((("/api/chat", ollama), ("/v1/chat/completions", openai)))
    return Disconnect(
        path,
        chat(ENDLESS, prompt, stream=stream, **fields),
        rng.randrange(_MAX_LINES) if stream and rng.random() < 0.6 else None,
        rng.random() ** 2 * _MAX_WAIT_SECONDS,
        rng.random() < 0.5,
    )


async def perform(port: int, plan: Disconnect) -> None:
    """Send a request and disconnect."""
    body = json.dumps(plan.body).encode()
    head = f"POST {plan.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        if plan.lines is None:
            await asyncio.sleep(plan.seconds)
        else:
            for _ in range(plan.lines):
                await reader.readline()
    finally:
        if plan.abort:
            writer.transport.abort()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def perform_all(port: int, plans: Sequence[Disconnect]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(plan: Disconnect) -> None:
        async with slots:
            await perform(port, plan)

    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(one(plan))


async def is_idle(http: aiohttp.ClientSession, serving: Deployment) -> bool:
    """Return whether gateway and engine have no requests."""
    in_flight = await samples(http, serving.url, "sizeup_gateway_requests_in_flight")
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    engine = [stats[name] for name in ("running", "waiting", "pages_used")]
    return not any((*in_flight.values(), *engine))


async def computed(http: aiohttp.ClientSession, serving: Deployment) -> int:
    """Return the number of tokens generated so far."""
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    return int(stats["completion_tokens"])


async def outcomes(http: aiohttp.ClientSession, serving: Deployment) -> dict[str, float]:
    """Count the completed chat requests by outcome."""
    counted = await samples(http, serving.url, "sizeup_gateway_requests_total")
    found: dict[str, float] = {}
    for labels, value in counted.items():
        outcome, _, route = labels.partition(",")
        if route in ("route=/api/chat", "route=/v1/chat/completions"):
            found[outcome] = found.get(outcome, 0.0) + value
    return found


def test_five_hundred_disconnects_leave_nothing_behind(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        async def idle() -> bool:
            return await is_idle(http, serving)

        rng = Random(SEED)
        plans = [random_disconnect(rng) for _ in range(WARM_UP + REQUESTS)]
        pids = {"gateway": serving.gateway_pid(), "inference": serving.inference_pid(ENDLESS)}
        await perform_all(serving.port, plans[:WARM_UP])
        await until(idle)
        memory = {name: resident_mib(pid) for name, pid in pids.items()}
        before = await outcomes(http, serving)
        tokens = await computed(http, serving)
        await perform_all(serving.port, plans[WARM_UP:])
        await until(idle)
        after = await outcomes(http, serving)
        ended = {outcome: after[outcome] - before.get(outcome, 0.0) for outcome in after}
        print({outcome: count for outcome, count in ended.items() if count})
        for name, pid in pids.items():
            now = resident_mib(pid)
            print(f"{name}: {memory[name]:.1f} MiB before, {now:.1f} MiB after")
            assert now - memory[name] < GROWTH_MIB
        tokens = await computed(http, serving) - tokens
        print(f"{tokens} tokens computed of {REQUESTS * TOKENS}")
        assert tokens < REQUESTS * TOKENS / 2
        completed = ended.get("outcome=ok", 0.0)
        assert sum(ended.values()) == ended["outcome=cancelled"] + completed > REQUESTS / 2
        assert completed < REQUESTS / 10
        for model in (ENDLESS, TOY):
            body = chat(model, "Hello", max_tokens=3)
            await post(http, f"{serving.url}/v1/chat/completions", body)
        assert serving.error_records() == []

    run(scenario)
