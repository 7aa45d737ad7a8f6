"""A steady load of concurrent clients that records every request without a complete response."""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import httpx
import ollama
import openai

from cluster.kubectl import Json

CLIENTS = 8
"""Number of concurrent clients, each of which sends one request after the other."""
_RESPONSE_SECONDS = 120.0
"""A response that takes longer counts as lost."""
_SHORT = "Hello"
_LONG = "one two three four five six seven eight nine ten " * 3
"""The fake engine repeats the prompt, a byte every 20 ms: this one takes three seconds."""
PROMPTS = (_SHORT, _SHORT, _SHORT, _LONG)


class LostError(Exception):
    """A response that was an error or ended early."""


@dataclass(slots=True)
class Tally:
    """Counts of completed and lost requests."""

    completed: int = 0
    overlapped: Counter[str] = field(default_factory=Counter)
    """Completed requests that started during the change, by client; 0 for a client without any."""
    lost: list[str] = field(default_factory=list)


Send = Callable[[str, str], Awaitable[None]]
"""Sends a prompt to a model and returns when the response is complete; raises otherwise."""


async def during(
    url: str,
    models: Sequence[str],
    change: Callable[[], None],
    at_least: int,
    clients: int = CLIENTS,
    prompts: Sequence[str] = PROMPTS,
) -> Tally:
    """Send requests while `change` runs, and afterwards until there were `at_least` of them."""
    tally = Tally()
    changed = asyncio.Event()
    async with _clients(url, clients) as senders, asyncio.TaskGroup() as group:
        tally.overlapped.update({_kind(send): 0 for send in senders})
        for number, send in enumerate(senders):
            requests = _requests(models, prompts, number)
            group.create_task(_send_repeatedly(send, requests, tally, changed, at_least))
        try:
            await asyncio.to_thread(change)
        finally:
            changed.set()
    return tally


async def _send_repeatedly(
    send: Send,
    requests: Iterator[tuple[str, str]],
    tally: Tally,
    changed: asyncio.Event,
    at_least: int,
) -> None:
    while not changed.is_set() or tally.completed + len(tally.lost) < at_least:
        model, prompt = next(requests)
        overlaps = not changed.is_set()
        try:
            async with asyncio.timeout(_RESPONSE_SECONDS):
                await send(model, prompt)
            tally.completed += 1
            tally.overlapped[_kind(send)] += overlaps
        except _LOSSES as error:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")  # as in the pods' logs
            tally.lost.append(f"{now} {_kind(send)} {model}: {error!r}")


def _kind(send: Send) -> str:
    return str(getattr(send, "__name__", send))


_LOSSES = (
    LostError,
    TimeoutError,
    aiohttp.ClientError,
    httpx.HTTPError,
    ollama.ResponseError,
    openai.OpenAIError,
    ConnectionError,
)


def _requests(
    models: Sequence[str], prompts: Sequence[str], number: int
) -> Iterator[tuple[str, str]]:
    """Yield pairs of model and prompt forever; each client starts with another prompt."""
    texts = itertools.islice(itertools.cycle(prompts), number % len(prompts), None)
    return zip(itertools.cycle(models), texts, strict=False)


@contextlib.asynccontextmanager
async def _clients(url: str, count: int) -> AsyncIterator[list[Send]]:
    """Yield plain HTTP clients with a connection per request, and the official clients."""
    once = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(url, connector=once) as http,
        # Without retries, which would hide lost requests.
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as openai_client,
        ollama.AsyncClient(url) as ollama_client,
    ):
        raw = (_ollama_raw(http), _openai_raw(http))
        kinds = (*raw, _ollama(ollama_client), _openai(openai_client))
        yield list(itertools.islice(itertools.cycle(kinds), count))


def _ollama_raw(http: aiohttp.ClientSession) -> Send:
    async def ollama_raw(model: str, prompt: str) -> None:
        lines = [json.loads(line) async for line in _lines(http, "/api/chat", model, prompt)]
        if not lines or not lines[-1].get("done"):
            raise LostError(f"last line {lines[-1:]}")

    return ollama_raw


def _openai_raw(http: aiohttp.ClientSession) -> Send:
    async def openai_raw(model: str, prompt: str) -> None:
        events = [event async for event in _lines(http, "/v1/chat/completions", model, prompt)]
        if events[-1:] != [b"data: [DONE]"] or b'"finish_reason":"' not in events[-2]:
            raise LostError(f"last events {events[-2:]}")

    return openai_raw


async def _lines(
    http: aiohttp.ClientSession, path: str, model: str, prompt: str
) -> AsyncIterator[bytes]:
    async with http.post(path, json={**_body(model, prompt), "stream": True}) as response:
        if response.status != 200:
            raise LostError(f"{response.status} {await response.text()}")
        async for line in response.content:
            if line.strip():
                yield line.strip()


def _ollama(client: ollama.AsyncClient) -> Send:
    async def ollama_client(model: str, prompt: str) -> None:
        response = await client.chat(**_body(model, prompt), stream=False)
        if response.done_reason != "stop":
            raise LostError(str(response))

    return ollama_client


def _openai(client: openai.AsyncOpenAI) -> Send:
    async def openai_client(model: str, prompt: str) -> None:
        response = await client.chat.completions.create(**_body(model, prompt))
        if response.choices[0].finish_reason != "stop":
            raise LostError(str(response))

    return openai_client


def _body(model: str, prompt: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}
