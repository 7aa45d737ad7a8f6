"""`sizeup check`: smoke test of each model on both APIs: chats, or embeddings."""

import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from sizeup.errors import GatewayUnreachableError, InvalidResponseError, UsageError

_QUESTION = "What is 12 + 30?"
_MAX_TOKENS = 16
"""Enough for a stream; a model of any size generates them within seconds."""
_LIST_SECONDS = 30.0
_SHOWN_CHARACTERS = 200
"""Of an invalid response, in messages."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and how to read its tokens from the response: generated, or of the input."""

    path: str
    stream: bool
    read: Callable[[bytes], int]

    def body(self, model: str) -> dict[str, Any]:
        if "embed" in self.path:
            return {"model": model, "input": _QUESTION}
        messages = [{"role": "user", "content": _QUESTION}]
        body = {"model": model, "messages": messages, "stream": self.stream}
        if self.path.startswith("/api/"):
            return {**body, "options": {"num_predict": _MAX_TOKENS, "temperature": 0}}
        options = {"stream_options": {"include_usage": True}} if self.stream else {}
        return {**body, **options, "max_tokens": _MAX_TOKENS, "temperature": 0}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one call; `fault` is the reason of a failure."""

    model: str
    call: Call
    tokens: int = 0
    seconds: float = 0.0
    fault: str | None = None

    def __str__(self) -> str:
        kind = "stream" if self.call.stream else "no stream"
        start = f"{self.model}  {self.call.path} ({kind}):"
        if self.fault is not None:
            return f"{start} FAILED: {self.fault}"
        rate = self.tokens / self.seconds if self.seconds > 0 else 0.0
        return f"{start} {self.tokens} tokens, {rate:.1f} tokens/s"


def read_ollama(body: bytes) -> int:
    return _ollama_tokens(_object(body))


def read_ollama_stream(body: bytes) -> int:
    """Return the tokens of an Ollama stream, of which only the last line is done."""
    lines = [_object(line) for line in body.splitlines()]
    if [bool(line.get("done")) for line in lines] != [False] * (len(lines) - 1) + [True]:
        raise InvalidResponseError(f"not a stream with one final line: {_shown(body)}")
    return _ollama_tokens(lines[-1])


def read_openai(body: bytes) -> int:
    return _openai_tokens([_object(body)])


def read_openai_stream(body: bytes) -> int:
    """Return the tokens of an OpenAI stream: one finish_reason, the usage, and [DONE]."""
    events = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event.strip()]
    if not events or events[-1].strip() != b"[DONE]":
        raise InvalidResponseError(f"stream without [DONE]: {_shown(body)}")
    return _openai_tokens([_object(event) for event in events[:-1]])


def read_embed(body: bytes) -> int:
    """Return the tokens of Ollama's response with one vector."""
    response = _object(body)
    _require_vector(response.get("embeddings"), body)
    return int(response.get("prompt_eval_count") or 0)


def read_embeddings(body: bytes) -> int:
    """Return the tokens of OpenAI's response with one vector."""
    response = _object(body)
    _require_vector([entry.get("embedding") for entry in response.get("data") or ()], body)
    return int((response.get("usage") or {}).get("prompt_tokens") or 0)


CALLS = (
    Call("/api/chat", False, read_ollama),
    Call("/api/chat", True, read_ollama_stream),
    Call("/v1/chat/completions", False, read_openai),
    Call("/v1/chat/completions", True, read_openai_stream),
)
EMBEDDING_CALLS = (
    Call("/api/embed", False, read_embed),
    Call("/v1/embeddings", False, read_embeddings),
)
"""Of a model that does not generate."""


def read_key(file: Path | None) -> str | None:
    """Return a file's first key; its limits follow, and # begins a comment. Raises UsageError."""
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the API key: {error}") from error
    firsts = (line.split(maxsplit=1)[0] for line in lines if line.strip())
    key = next((first for first in firsts if not first.startswith("#")), None)
    if key is None:
        raise UsageError(f"no API key in {file}")
    return key


async def not_ready(url: str, models: Collection[str], key: str | None) -> dict[str, str]:
    """Return the models that are not ready, with their state in /v1/models.

    Raises GatewayUnreachableError, and InvalidResponseError for a model that is not served.
    """
    try:
        async with _session(key, _LIST_SECONDS) as session:
            states = {model: await _state(session, url, model) for model in models}
    except (aiohttp.ClientError, TimeoutError) as error:
        raise GatewayUnreachableError(f"no model list from {url}: {error}") from error
    return {model: state for model, state in states.items() if state != "ready"}


async def _state(session: aiohttp.ClientSession, url: str, model: str) -> str:
    async with session.get(f"{url}/v1/models/{quote(model)}") as response:
        return str(_object(await response.read()).get("state"))


async def smoke_test(
    url: str, models: Sequence[str], key: str | None, response_seconds: float
) -> AsyncIterator[Result]:
    """Yield a result for each call to each model; one call at a time."""
    async with _session(key, response_seconds) as session:
        for model in models:
            only_embeds = await _capabilities(session, url, model) == ["embedding"]
            for call in EMBEDDING_CALLS if only_embeds else CALLS:
                yield await _run(session, url, model, call)


async def _capabilities(session: aiohttp.ClientSession, url: str, model: str) -> object:
    """Return the capabilities of a model; None where they are not known: its calls say why."""
    try:
        async with session.post(f"{url}/api/show", json={"model": model}) as response:
            return _object(await response.read()).get("capabilities")
    except (aiohttp.ClientError, TimeoutError, InvalidResponseError):
        return None


async def _run(session: aiohttp.ClientSession, url: str, model: str, call: Call) -> Result:
    begin = time.monotonic()
    try:
        async with session.post(url + call.path, json=call.body(model)) as response:
            body = await response.read()
        tokens = call.read(body)
    except InvalidResponseError as error:
        return Result(model, call, fault=str(error))
    except TimeoutError:
        return Result(model, call, fault=f"no response within {session.timeout.total:g} s")
    except aiohttp.ClientError as error:
        return Result(model, call, fault=f"{type(error).__name__}: {error}")
    if tokens < 1:
        return Result(model, call, fault=f"response without tokens: {_shown(body)}")
    return Result(model, call, tokens, time.monotonic() - begin)


def _session(key: str | None, seconds: float) -> aiohttp.ClientSession:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=seconds))


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidResponseError(f"not a JSON object: {_shown(text)}")
    if "error" in value:
        raise InvalidResponseError(f"error response: {_shown(text)}")
    return value


def _require_vector(vectors: object, body: bytes) -> None:
    if not isinstance(vectors, list) or len(vectors) != 1 or not vectors[0]:
        raise InvalidResponseError(f"not one vector: {_shown(body)}")


def _ollama_tokens(response: Mapping[str, Any]) -> int:
    if not response.get("done_reason"):
        raise InvalidResponseError(f"no done_reason: {response}")
    return int(response.get("eval_count") or 0)


def _openai_tokens(chunks: Sequence[Mapping[str, Any]]) -> int:
    """Return the usage in the last chunk; one choice has to have ended."""
    choices = [choice for chunk in chunks for choice in chunk.get("choices") or ()]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    if len(reasons) != 1:
        raise InvalidResponseError(f"{len(reasons)} finish_reasons, expected one")
    return int((chunks[-1].get("usage") or {}).get("completion_tokens") or 0)


def _shown(text: bytes) -> str:
    return text[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
