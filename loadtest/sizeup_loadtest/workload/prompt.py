"""One prompt of the workload."""

from dataclasses import dataclass
from typing import Literal

PRELOAD_KEY = "preload"
"""Of the request that loads a model; prompts have other keys."""
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages of one request, the same for every model."""

    key: str
    messages: tuple[ChatMessage, ...]
    """Of a later turn of a conversation: the new ones only."""
    conversation: int | None = None
    turn: int = 0
    """From 0; only conversations have more than one."""
    max_tokens: int | None = None
    """Of a trace: the output length."""
    offset_ns: int | None = None
    """Of a trace: time of arrival, since its first request."""
