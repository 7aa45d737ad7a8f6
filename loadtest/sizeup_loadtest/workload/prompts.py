"""What is asked: built-in sets that never run out, and files of one's own.

The n-th prompt of a set depends on the set, the seed and n alone. Sets are sized in words, because
tokens are the model's business; the server's count of prompt tokens is what the report shows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal, Protocol

from sizeup_loadtest.config.schema import Prompts
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import filler_text

MAX_FILE_BYTES = 256 << 20
DEFAULT_WORDS = 1500
"""Of a `rag` or `text` prompt: some 2,000 tokens, a few retrieved pages."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request asks, the same for every size."""

    key: str
    messages: tuple[Message, ...]


class Source(Protocol):
    """A row of prompts."""

    def __call__(self, index: int, words: int | None) -> Prompt:
        """Return the prompt at a place, 0 up; `words` is None where a set has its own length."""


def source(config: Prompts) -> Source:
    """Return the prompts a config asks for; ConfigError when its file is not right."""
    if config.file is not None:
        return partial(_from_file, read(Path(config.file)), config.count)
    return partial(_built_in, config)


def read(path: Path) -> Sequence[Prompt]:
    """Read JSON lines with `prompt` or `messages`, and perhaps a `key`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"prompts.file: {path} is longer than {MAX_FILE_BYTES} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts.file: {error}") from None
    prompts = [_line(line, i, path) for i, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise ConfigError(f"prompts.file: {path} has no prompts")
    if len({prompt.key for prompt in prompts}) < len(prompts):
        raise ConfigError(f"prompts.file: {path} has a key twice")
    return prompts


def _line(line: str, number: int, path: Path) -> Prompt:
    where = f"prompts.file: {path} line {number}"
    try:
        data = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: not an object")
    if isinstance(data.get("prompt"), str):
        messages: tuple[Message, ...] = (Message("user", data["prompt"]),)
    else:
        messages = _messages(data.get("messages"), where)
    return Prompt(str(data.get("key", f"line-{number}")), messages)


def _messages(value: object, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: has neither a text `prompt` nor a list `messages`")
    return tuple(_message(item, where) for item in value)


def _message(item: object, where: str) -> Message:
    if isinstance(item, dict) and isinstance(item.get("content"), str):
        match item.get("role"):
            case "system" | "user" | "assistant" as role:
                return Message(role, item["content"])
    raise ConfigError(f"{where}: a message has a role (system, user, assistant) and a text content")


def _from_file(
    prompts: Sequence[Prompt], count: int | None, index: int, words: int | None
) -> Prompt:
    return prompts[index % min(count or len(prompts), len(prompts))]


def _built_in(config: Prompts, index: int, words: int | None) -> Prompt:
    place = index % config.count if config.count else index
    size = words or DEFAULT_WORDS
    key = f"{config.set}-{place}" if words is None else f"{config.set}-{words}-{place}"
    draw = Random(f"{config.seed}/{key}")
    match config.set:
        case "chat-short":
            return _asked(key, filler_text.question(draw))
        case "chat-long":
            return Prompt(key, _conversation(draw))
        case "rag":
            return _asked(key, filler_text.retrieval(draw, size))
        case "text":
            return _asked(key, filler_text.text(draw, size))


def _asked(key: str, text: str) -> Prompt:
    return Prompt(key, (Message("user", text),))


def _conversation(draw: Random) -> tuple[Message, ...]:
    """Write three turns of some length and a last question, about 600 words."""
    turns: list[Message] = []
    for _ in range(3):
        turns.append(Message("user", filler_text.question(draw)))
        turns.append(Message("assistant", filler_text.text(draw, 180)))
    return (*turns, Message("user", filler_text.task(draw)))
