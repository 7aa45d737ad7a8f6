"""Prompts: endless built-in sets, and JSON Lines files.

The n-th prompt of a set depends on the set, the seed and n only. Lengths are in words, because
tokens depend on the model; reports show the server's count of prompt tokens.
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
"""Of a `rag` or `text` prompt: about 2,000 tokens, a few retrieved pages."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages of one request, the same for every model."""

    key: str
    messages: tuple[ChatMessage, ...]


class PromptSource(Protocol):
    """An indexed sequence of prompts."""

    def __call__(self, index: int, words: int | None) -> Prompt:
        """Return the prompt at an index from 0; `words` is None for a set of its own length."""


def source(config: Prompts) -> PromptSource:
    """Return the configured prompts; ConfigError when their file is invalid."""
    if config.file is not None:
        return partial(_from_file, read(Path(config.file)), config.count)
    return partial(_built_in, config)


def read(path: Path) -> Sequence[Prompt]:
    """Read JSON Lines with `prompt` or `messages`, and an optional `key`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"prompts.file: {path} is larger than {MAX_FILE_BYTES} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts.file: {error}") from None
    prompts = [_line(line, i, path) for i, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise ConfigError(f"prompts.file: {path} has no prompts")
    if len({prompt.key for prompt in prompts}) < len(prompts):
        raise ConfigError(f"prompts.file: {path} has duplicate keys")
    return prompts


def _line(line: str, number: int, path: Path) -> Prompt:
    where = f"prompts.file: {path} line {number}"
    try:
        data = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: not a JSON object")
    if isinstance(data.get("prompt"), str):
        messages: tuple[ChatMessage, ...] = (ChatMessage("user", data["prompt"]),)
    else:
        messages = _messages(data.get("messages"), where)
    return Prompt(str(data.get("key", f"line-{number}")), messages)


def _messages(value: object, where: str) -> tuple[ChatMessage, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: needs a string `prompt` or a list `messages`")
    return tuple(_message(item, where) for item in value)


def _message(item: object, where: str) -> ChatMessage:
    if isinstance(item, dict) and isinstance(item.get("content"), str):
        match item.get("role"):
            case "system" | "user" | "assistant" as role:
                return ChatMessage(role, item["content"])
    raise ConfigError(
        f"{where}: a message needs a role (system, user, assistant) and a string content"
    )


def _from_file(
    prompts: Sequence[Prompt], count: int | None, index: int, words: int | None
) -> Prompt:
    return prompts[index % min(count or len(prompts), len(prompts))]


def _built_in(config: Prompts, index: int, words: int | None) -> Prompt:
    number = index % config.count if config.count else index
    size = words or DEFAULT_WORDS
    key = f"{config.set}-{number}" if words is None else f"{config.set}-{words}-{number}"
    random = Random(f"{config.seed}/{key}")
    match config.set:
        case "chat-short":
            return _single_turn(key, filler_text.question(random))
        case "chat-long":
            return Prompt(key, _conversation(random))
        case "rag":
            return _single_turn(key, filler_text.retrieval(random, size))
        case "text":
            return _single_turn(key, filler_text.text(random, size))


def _single_turn(key: str, text: str) -> Prompt:
    return Prompt(key, (ChatMessage("user", text),))


def _conversation(random: Random) -> tuple[ChatMessage, ...]:
    """Return three turns and a final question, about 600 words."""
    turns: list[ChatMessage] = []
    for _ in range(3):
        turns.append(ChatMessage("user", filler_text.question(random)))
        turns.append(ChatMessage("assistant", filler_text.text(random, 180)))
    return (*turns, ChatMessage("user", filler_text.task(random)))
