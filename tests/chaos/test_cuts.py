"""Connections to inference are cut at random: no response is silently short."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest

from chaos.cutting_proxy import CuttingProxy
from chaos.deployment import MODEL, Deployment, deployed
from system.deployment import wait_until

_CLIENTS = 16
_TOKENS = 60
_PATHS = ("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/completions", "/v1/messages")
_DEADLINE = aiohttp.ClientTimeout(total=60)
_HEALED_SECONDS = 30.0


@pytest.fixture(scope="module")
def proxy() -> CuttingProxy:
    return CuttingProxy(seed=1)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, proxy: CuttingProxy) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("cuts"), proxy=proxy) as running:
        yield running


def body_of(path: str, *, stream: bool) -> dict[str, object]:
    text = "x" * _TOKENS
    prompt = {"messages": [{"role": "user", "content": text}]}
    if path in ("/api/generate", "/v1/completions"):
        prompt = {"prompt": text}  # type: ignore[dict-item]
    limit = (
        {"options": {"num_predict": _TOKENS}}
        if path.startswith("/api")
        else {"max_tokens": _TOKENS}
    )
    return {"model": MODEL, "stream": stream, **prompt, **limit}


def outcome(status: int, stream: bool, text: str) -> str:
    """Classify a response: complete, failed with one error, or silently short."""
    ends = ('"done":true', '"finish_reason":"length"', '"stop_reason":"max_tokens"')
    errors = text.count('"error":')
    if status != 200:
        return "failed" if errors == 1 and json.loads(text) else "silent"
    complete = any(end in text for end in ends) and (stream or bool(json.loads(text)))
    if complete:
        return "complete" if not errors else "silent"
    return "failed" if stream and errors == 1 else "silent"


async def ask(http: aiohttp.ClientSession, url: str, number: int) -> str:
    path, stream = _PATHS[number % len(_PATHS)], bool(number % 3)
    async with http.post(url + path, json=body_of(path, stream=stream)) as response:
        text = (await response.read()).decode()
    return outcome(response.status, stream, text)


async def ask_all(url: str, until: float) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    async def client(number: int) -> None:
        while time.monotonic() < until:
            outcomes[await ask(http, url, number)] += 1
            number += 1

    async with aiohttp.ClientSession(timeout=_DEADLINE) as http:
        await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return outcomes


def test_no_response_is_silently_short(
    serving: Deployment, proxy: CuttingProxy, attack_seconds: float
) -> None:
    proxy.cuts = True
    outcomes = asyncio.run(ask_all(serving.gateway.url, time.monotonic() + attack_seconds))
    proxy.cuts = False
    print(f"{proxy.count} cuts: {dict(outcomes)}")
    assert outcomes["silent"] == 0
    assert outcomes["failed"]
    assert outcomes["complete"]
    wait_until(serving.is_serving, "serving again", _HEALED_SECONDS)
