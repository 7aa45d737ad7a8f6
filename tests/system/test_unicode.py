"""A stream's text is that of the whole answer, in every dialect, whatever the script.

The endless model draws every token alike, so that most of its characters are split over tokens.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp
import httpx
import pytest

from system.deployment import Deployment
from system.models import ENDLESS, TOY
from system.requests import DONE, Json, chat, post, run, text_of
from system.unicode_prompts import PIECES, make_prompt

PROMPTS = int(os.environ.get("SIZEUP_TEST_PROMPTS", 3 * len(PIECES)))
"""In each dialect; `make fuzz` sends 500."""
TOKENS = 24
SEEDS = 16
"""Of the models' output, which with the endless model does not depend on the prompt."""
_CONCURRENT = 32
_SECONDS = 300
"""500 prompts take 7 s on a busy machine."""


@dataclass(frozen=True, slots=True)
class Dialect:
    path: str
    body: Callable[[str, str], Json]
    """Of model and prompt."""
    whole: Callable[[Json], str]
    part: Callable[[Json], str]


def _options(body: Json) -> Json:
    return body | {"options": {"num_predict": TOKENS}}


def _tokens(body: Json, name: str = "max_tokens") -> Json:
    return body | {name: TOKENS}


def _text(model: str, prompt: str) -> Json:
    return {"model": model, "prompt": prompt}


def _output(reply: Json) -> str:
    return "".join(part["text"] for item in reply["output"] for part in item["content"])


def _output_delta(event: Json) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def _blocks(reply: Json) -> str:
    return "".join(block["text"] for block in reply["content"])


def _block_delta(event: Json) -> str:
    return str(event["delta"]["text"]) if event["type"] == "content_block_delta" else ""


DIALECTS = (
    Dialect("/api/chat", lambda *of: _options(chat(*of)), text_of, text_of),
    Dialect("/api/generate", lambda *of: _options(_text(*of)), text_of, text_of),
    Dialect("/v1/chat/completions", lambda *of: _tokens(chat(*of)), text_of, text_of),
    Dialect("/v1/completions", lambda *of: _tokens(_text(*of)), text_of, text_of),
    Dialect(
        "/v1/responses",
        lambda model, prompt: _tokens({"model": model, "input": prompt}, "max_output_tokens"),
        _output,
        _output_delta,
    ),
    Dialect("/v1/messages", lambda *of: _tokens(chat(*of)), _blocks, _block_delta),
)


@pytest.fixture(scope="module")
def models(serving: Deployment) -> Iterator[Sequence[str]]:
    """Create a model for each seed: two of the APIs have none."""
    names = [f"unicode:{seed}" for seed in range(SEEDS)]
    for seed, name in enumerate(names):
        parameters = {"seed": seed, "temperature": 1}
        origin = (ENDLESS, TOY)[seed % 2]
        body = {"model": name, "from": origin, "parameters": parameters, "stream": False}
        httpx.post(f"{serving.url}/api/create", json=body).raise_for_status()
    yield names
    for name in names:
        url = f"{serving.url}/api/delete"
        httpx.request("DELETE", url, json={"model": name}).raise_for_status()


async def _streamed(http: aiohttp.ClientSession, url: str, dialect: Dialect, body: Json) -> str:
    """Return the text of a stream, each of whose chunks is UTF-8 and JSON of its own."""
    data = json.dumps(body | {"stream": True}, ensure_ascii=False).encode()
    texts: list[str] = []
    async with http.post(url + dialect.path, data=data) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            payload = line.strip(b"\r\n").removeprefix(b"data: ")
            if payload and payload != DONE and not payload.startswith(b"event: "):
                texts.append(dialect.part(json.loads(payload.decode())))
    return "".join(texts)


async def _answers(
    http: aiohttp.ClientSession, url: str, dialect: Dialect, body: Json, free: asyncio.Semaphore
) -> tuple[str, str]:
    """Return the whole answer, and the text of the stream."""
    async with free:
        whole = await post(http, url + dialect.path, body | {"stream": False})
        return dialect.whole(whole), await _streamed(http, url, dialect, body)


@pytest.mark.timeout(_SECONDS + 60)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.path)
def test_a_stream_equals_the_whole_answer_in_every_script(
    serving: Deployment, models: Sequence[str], dialect: Dialect
) -> None:
    bodies = [dialect.body(models[n % SEEDS], make_prompt(n)) for n in range(PROMPTS)]
    found: Sequence[tuple[str, str]] = ()

    async def scenario(http: aiohttp.ClientSession) -> None:
        nonlocal found
        free = asyncio.Semaphore(_CONCURRENT)
        found = await asyncio.gather(
            *(_answers(http, serving.url, dialect, body, free) for body in bodies)
        )

    run(scenario, _SECONDS)
    for body, (whole, streamed) in zip(bodies, found, strict=True):
        assert streamed == whole, body
    assert sum(not whole.isascii() for whole, _ in found) >= PROMPTS / 4
