"""Recorded traffic: when requests arrived and how long they were, in three published formats."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from random import Random
from reprlib import repr as short

from sizeup_loadtest.config.workload import MAX_LENGTH, TraceConfig
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import filler_text, input_file
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt

KEY = "load.trace"
BLOCK_TOKENS = 512
"""Of one of Mooncake's hash ids."""
MAX_PROMPT_TOKENS = 20_000_000
"""In a trace: the plan holds all prompts in memory and in its file, some five bytes a token."""
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TracedRequest:
    seconds: float
    """Time of arrival, of any epoch."""
    prompt_tokens: int
    completion_tokens: int
    blocks: tuple[int, ...] = ()
    """Ids of the prompt's blocks of 512 tokens; equal ids are equal text."""


@dataclass(frozen=True, slots=True)
class _Format:
    time: str
    prompt: str
    completion: str
    seconds: Callable[[object], float]
    blocks: str | None = None


def _timestamp(value: object) -> float:
    moment = datetime.fromisoformat(str(value).strip())
    return (moment.replace(tzinfo=None) - datetime(2000, 1, 1)).total_seconds()


def _float(value: object) -> float:
    return float(str(value))


_FORMATS: Mapping[str, _Format] = {
    "azure": _Format("TIMESTAMP", "ContextTokens", "GeneratedTokens", _timestamp),
    "mooncake": _Format(
        "timestamp", "input_length", "output_length", lambda ms: _float(ms) / 1000, "hash_ids"
    ),
    "csv": _Format("seconds", "prompt_tokens", "completion_tokens", _float),
}


def read(config: TraceConfig) -> Sequence[TracedRequest]:
    """Return the first requests of a trace by arrival; ConfigError names the line of a fault."""
    path = Path(config.file)
    form = _FORMATS[config.format]
    entries = islice(input_file.entries(path, KEY), config.max_requests)
    requests = sorted(
        (
            TracedRequest(
                _seconds(fields, form, where),
                _count(fields, form.prompt, where),
                _count(fields, form.completion, where),
                _blocks(fields, form.blocks, where),
            )
            for where, fields in entries
        ),
        key=lambda request: request.seconds,
    )
    if (tokens := sum(request.prompt_tokens for request in requests)) > MAX_PROMPT_TOKENS:
        raise ConfigError(
            f"{KEY}.max_requests: the first {len(requests)} requests have {tokens} prompt tokens, "
            f"the limit is {MAX_PROMPT_TOKENS}"
        )
    return requests


def rate(requests: Sequence[TracedRequest], speed: float) -> float:
    """Return the mean requests per second; those that arrive at once count as one second."""
    seconds = (requests[-1].seconds - requests[0].seconds) / speed
    return (len(requests) - 1) / seconds if seconds else float(len(requests))


def prompts(requests: Sequence[TracedRequest], config: TraceConfig, seed: str) -> Iterator[Prompt]:
    """Yield the requests of a trace with their text."""
    for number, request in enumerate(requests):
        key = f"{seed}-{number}"
        words = max(1, round(request.prompt_tokens / config.tokens_per_word))
        text = _text(request.blocks, words, config.tokens_per_word, seed, key)
        offset = (request.seconds - requests[0].seconds) / config.speed
        yield Prompt(
            key,
            (ChatMessage("user", text),),
            max_tokens=request.completion_tokens,
            offset_ns=round(offset * _SECOND_NS),
        )


def _text(blocks: Sequence[int], words: int, tokens_per_word: float, seed: str, key: str) -> str:
    """Return the text of a prompt; that of a block depends on its id alone."""
    if not blocks:
        return filler_text.text(Random(key), words)
    size = math.ceil(BLOCK_TOKENS / tokens_per_word)
    parts = [filler_text.text(Random(f"{seed}/block-{block}"), size) for block in blocks]
    rest = filler_text.text(Random(key), max(0, words - size * len(parts)))
    return " ".join(" ".join([*parts, rest]).split(" ")[:words])


def _seconds(fields: Mapping[str, object], form: _Format, where: str) -> float:
    try:
        seconds = form.seconds(fields.get(form.time))
    except (ValueError, OverflowError):
        seconds = math.nan
    if not abs(seconds) < 1e12:
        raise ConfigError(f"{where}: {form.time} is {short(fields.get(form.time))}, not a time")
    return seconds


def _count(fields: Mapping[str, object], name: str, where: str) -> int:
    """Return a number of tokens, at least 1: nothing shorter can be asked for."""
    value = fields.get(name)
    try:
        count = int(str(value))
    except ValueError:
        count = -1
    if not 0 <= count <= MAX_LENGTH:
        raise ConfigError(f"{where}: {name} is {short(value)}, not a count up to {MAX_LENGTH}")
    return max(1, count)


def _blocks(fields: Mapping[str, object], name: str | None, where: str) -> tuple[int, ...]:
    value = fields.get(name, []) if name else []
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise ConfigError(f"{where}: {name} is not a list of numbers")
    return tuple(value)
