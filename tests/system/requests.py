"""HTTP requests to the four generating routes, and their responses."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

Json = dict[str, Any]

DEADLINE_SECONDS = 150.0
"""Of one test: many times its duration on an idle machine."""
_POLL_SECONDS = 0.05
DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Question:
    """A request that can be sent with and without streaming."""

    path: str
    body: Json

    def with_stream(self, *, stream: bool) -> Json:
        return {**self.body, "stream": stream}


def chat(model: str, prompt: str, **fields: Any) -> Json:
    """Return a chat body that is valid in both APIs."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}


def run(
    scenario: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]],
    seconds: float = DEADLINE_SECONDS,
) -> None:
    """Run a scenario with a session without a connection limit."""

    async def with_session() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            await scenario(http)

    asyncio.run(asyncio.wait_for(with_session(), seconds))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Poll a condition; bounded by the scenario's deadline."""
    while not await condition():  # noqa: ASYNC110 - other processes have no event to await
        await asyncio.sleep(_POLL_SECONDS)


async def post(http: aiohttp.ClientSession, url: str, body: Json) -> Json:
    """Return the JSON object of a successful response."""
    async with http.post(url, json=body) as response:
        reply: Json = json.loads(await response.text())
        assert response.status == 200, reply
        return reply


async def get(http: aiohttp.ClientSession, url: str | URL) -> Json:
    async with http.get(url) as response:
        reply: Json = json.loads(await response.text())
        assert response.status == 200, reply
        return reply


async def payloads(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the payload of each line or server-sent event, [DONE] included."""
    assert response.status == 200, await response.text()
    async for line in response.content:
        if line.strip():
            yield line.strip().removeprefix(b"data: ")


def text_of(message: Json) -> str:
    """Return the text of a response or a chunk of any of the four routes."""
    if "message" in message:
        return str(message["message"]["content"])
    if "response" in message:
        return str(message["response"])
    parts = (
        choice.get("message") or choice.get("delta") or choice for choice in message["choices"]
    )
    return "".join(part.get("content") or part.get("text") or "" for part in parts)


def text_of_stream(parts: list[bytes]) -> str:
    """Return the text of a complete stream."""
    return "".join(text_of(json.loads(part)) for part in parts if part != DONE)


async def samples(http: aiohttp.ClientSession, url: str, name: str) -> dict[str, float]:
    """Return a metric summed over models, by its other labels, sorted and joined."""
    found: dict[str, float] = {}
    async with http.get(f"{url}/metrics") as response:
        text = await response.text()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                key = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if k != "model")
                found[key] = found.get(key, 0.0) + sample.value
    return found
