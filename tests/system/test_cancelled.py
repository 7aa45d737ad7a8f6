"""Hundreds of people who hang up at a random moment leave nothing behind."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from system.asking import chat, get, post, run, samples, until
from system.conftest import KV_MIB
from system.deployment import Deployment
from system.models import ENDLESS, TOY
from system.processes import resident_mib

WARM_UP = 100
REQUESTS = 500
AT_ONCE = 40
TOKENS = 1000
"""Nobody waits for the end of so long an answer."""
SEED = 20261123
GROWTH_MIB = KV_MIB + 8.0
"""The KV pool may have been untouched; the rest is what allocators keep of the busiest moment."""

_LONG_PROMPT_WORDS = 600
_LONGEST_WAIT_SECONDS = 0.5
_MOST_LINES = 150
"""Of the reply as it is on the wire: the first eight are headers, then three for each token."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """A request, and when its sender goes away."""

    path: str
    body: dict[str, Any]
    lines: int | None
    """After so many lines of a stream: in its headers or while it is written."""
    seconds: float
    """Else after so long: unsent, in the queue, in prefill, or while it is written."""
    abort: bool
    """By a reset instead of a polite end."""


def hang_up(rng: Random) -> HangUp:
    """Draw a request that would go on for long, and the moment it is given up."""
    words = _LONG_PROMPT_WORDS if rng.random() < 0.1 else rng.randrange(1, 10)
    prompt = " ".join(rng.choices(("one", "two", "red", "blue"), k=words))
    stream, seed = rng.random() < 0.7, rng.randrange(1000)
    ollama = {"options": {"num_predict": TOKENS, "seed": seed}}
    openai = {"max_tokens": TOKENS, "seed": seed}
    path, fields = rng.choice((("/api/chat", ollama), ("/v1/chat/completions", openai)))
    return HangUp(
        path,
        chat(ENDLESS, prompt, stream=stream, **fields),
        rng.randrange(_MOST_LINES) if stream and rng.random() < 0.6 else None,
        rng.random() ** 2 * _LONGEST_WAIT_SECONDS,
        rng.random() < 0.5,
    )


async def perform(port: int, plan: HangUp) -> None:
    """Send a request and hang up."""
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


async def perform_all(port: int, plans: Sequence[HangUp]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(plan: HangUp) -> None:
        async with places:
            await perform(port, plan)

    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(one(plan))


async def is_idle(http: aiohttp.ClientSession, serving: Deployment) -> bool:
    """Tell whether nobody is served any more, by gateway and engine."""
    in_flight = await samples(http, serving.url, "sizeup_gateway_requests_in_flight")
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    engine = [stats[name] for name in ("running", "waiting", "pages_used")]
    return not any((*in_flight.values(), *engine))


async def computed(http: aiohttp.ClientSession, serving: Deployment) -> int:
    """Return how many tokens the engine has made."""
    stats = await get(http, f"{serving.inference_url(ENDLESS)}/internal/v1/stats")
    return int(stats["completion_tokens"])


async def outcomes(http: aiohttp.ClientSession, serving: Deployment) -> dict[str, float]:
    """Count the requests for answers that ended, by outcome."""
    counted = await samples(http, serving.url, "sizeup_gateway_requests_total")
    found: dict[str, float] = {}
    for labels, value in counted.items():
        outcome, _, route = labels.partition(",")
        if route in ("route=/api/chat", "route=/v1/chat/completions"):
            found[outcome] = found.get(outcome, 0.0) + value
    return found


def test_five_hundred_hang_ups_leave_nothing_behind(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        async def idle() -> bool:
            return await is_idle(http, serving)

        rng = Random(SEED)
        plans = [hang_up(rng) for _ in range(WARM_UP + REQUESTS)]
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
        assert sum(ended.values()) == ended["outcome=cancelled"] > REQUESTS / 2
        for model in (ENDLESS, TOY):
            body = chat(model, "Hello", max_tokens=3)
            await post(http, f"{serving.url}/v1/chat/completions", body)
        assert serving.complaints() == []

    run(scenario)
