"""A steady load of people, and an account of every request that did not get its whole answer."""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import httpx
import ollama
import openai

from cluster.kubectl import Json

PEOPLE = 8
"""Asking at the same time; each waits for an answer and asks again."""
_ANSWER_SECONDS = 120.0
"""An answer that takes longer is lost."""
_SHORT = "Hello"
_LONG = "one two three four five six seven eight nine ten " * 3
"""The fake engine says a prompt again, a byte in 20 ms: this one takes three seconds."""


class LostError(Exception):
    """An answer that ended early, or was an error."""


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    answered: int = 0
    overlapped: Counter[str] = field(default_factory=Counter)
    """Those answered that were under way during the change, by kind of client; 0 of some, maybe."""
    lost: list[str] = field(default_factory=list)


Ask = Callable[[str, str], Awaitable[None]]
"""Asks a model something and returns when the answer was whole."""


async def during(
    url: str, models: Sequence[str], change: Callable[[], None], at_least: int
) -> Tally:
    """Ask on end while something changes, and on until there were enough requests."""
    tally = Tally()
    changed = asyncio.Event()
    async with _people(url) as people, asyncio.TaskGroup() as group:
        tally.overlapped.update({_kind(ask): 0 for ask in people})
        for number, ask in enumerate(people):
            questions = _questions(models, number)
            group.create_task(_ask_on(ask, questions, tally, changed, at_least))
        try:
            await asyncio.to_thread(change)
        finally:
            changed.set()
    return tally


async def _ask_on(
    ask: Ask,
    questions: Iterator[tuple[str, str]],
    tally: Tally,
    changed: asyncio.Event,
    at_least: int,
) -> None:
    while not changed.is_set() or tally.answered + len(tally.lost) < at_least:
        model, prompt = next(questions)
        overlaps = not changed.is_set()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await ask(model, prompt)
            tally.answered += 1
            tally.overlapped[_kind(ask)] += overlaps
        except _LOSSES as error:
            tally.lost.append(f"{_kind(ask)} {model}: {error!r}")


def _kind(ask: Ask) -> str:
    return str(getattr(ask, "__name__", ask))


_LOSSES = (
    LostError,
    TimeoutError,
    aiohttp.ClientError,
    httpx.HTTPError,
    ollama.ResponseError,
    openai.OpenAIError,
    ConnectionError,
)


def _questions(models: Sequence[str], number: int) -> Iterator[tuple[str, str]]:
    """Yield models and prompts on end: every fourth answer is long."""
    prompts = itertools.cycle((_SHORT, _SHORT, _SHORT, _LONG))
    return zip(itertools.cycle(models), itertools.islice(prompts, number % 4, None), strict=False)


@contextlib.asynccontextmanager
async def _people(url: str) -> AsyncIterator[list[Ask]]:
    """Yield what people use: programs with a connection a request, and the official clients."""
    once = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(url, connector=once) as http,
        # Asks once: what it would try again is lost to whoever does not.
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as openai_client,
        ollama.AsyncClient(url) as ollama_client,
    ):
        raw = (_ollama_raw(http), _openai_raw(http))
        kinds = (*raw, _ollama(ollama_client), _openai(openai_client))
        yield list(itertools.islice(itertools.cycle(kinds), PEOPLE))


def _ollama_raw(http: aiohttp.ClientSession) -> Ask:
    async def ollama_raw(model: str, prompt: str) -> None:
        lines = [json.loads(line) async for line in _lines(http, "/api/chat", model, prompt)]
        if not lines or not lines[-1].get("done"):
            raise LostError(f"last line {lines[-1:]}")

    return ollama_raw


def _openai_raw(http: aiohttp.ClientSession) -> Ask:
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


def _ollama(client: ollama.AsyncClient) -> Ask:
    async def ollama_client(model: str, prompt: str) -> None:
        said = await client.chat(**_body(model, prompt), stream=False)
        if said.done_reason != "stop":
            raise LostError(str(said))

    return ollama_client


def _openai(client: openai.AsyncOpenAI) -> Ask:
    async def openai_client(model: str, prompt: str) -> None:
        said = await client.chat.completions.create(**_body(model, prompt))
        if said.choices[0].finish_reason != "stop":
            raise LostError(str(said))

    return openai_client


def _body(model: str, prompt: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}
