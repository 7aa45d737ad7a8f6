"""`POST /internal/v1/generate`: the answer, one JSON event per line.

A stream is `started`, then any number of `prompt` where `echo` was asked for, then any number of
`text`, `thinking` and `tool_call`, then exactly one `finished` or `failed`. Nothing follows the
terminal event; a stream without one was cut.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from sizeup_wire.errors import ErrorCode
from sizeup_wire.message import ResponseModel


class FinishReason(StrEnum):
    """Say why a choice ended."""

    STOP = "stop"
    """End-of-sequence token, stop token or stop string."""
    LENGTH = "length"
    """max_tokens, max_context or the model's context was reached."""
    TOOL_CALLS = "tool_calls"
    """Like STOP, and the answer holds at least one tool call."""
    CANCELLED = "cancelled"
    """The caller went away; only logs and metrics see this."""


class TopLogprob(ResponseModel):
    """One of the likeliest tokens at a step."""

    token: str
    bytes: tuple[int, ...]
    """UTF-8 bytes of the token, which may be part of a character."""
    logprob: float


class TokenLogprob(ResponseModel):
    """The chosen token at a step, after penalties and before temperature."""

    token: str
    bytes: tuple[int, ...]
    logprob: float
    top: tuple[TopLogprob, ...] = ()


class Started(ResponseModel):
    """The request left the queue: its first prompt token is about to be computed."""

    event: Literal["started"] = "started"
    queued_ns: int
    """Time in the waiting queue."""
    load_ns: int
    """Time this request waited for weights to load; 0 when they were there."""
    prompt_tokens: int
    cached_tokens: int = 0
    """Prompt tokens whose KV was reused."""


class PromptToken(ResponseModel):
    """A token of the prompt, by the model's own distribution: no penalties, bias or temperature."""

    token: str
    bytes: tuple[int, ...]
    logprob: float | None
    """None for the first token of a prompt, which follows nothing."""
    top: tuple[TopLogprob, ...] = ()


class PromptTokens(ResponseModel):
    """The next piece of the prompt; a long one comes in several, since a line has a bound."""

    event: Literal["prompt"] = "prompt"
    choice: int = 0
    """The first of the request's choices: all of them share the prompt."""
    text: str
    """Whole characters only; special tokens by their names."""
    tokens: tuple[PromptToken, ...] = ()
    """Those of this piece where `logprobs` were asked for, else none."""


class Text(ResponseModel):
    """Text of the answer: whole characters only.

    Empty text with no tokens says that the model is at work on what will show later (a tool call,
    half a character), so that a reader's deadline between events holds.
    """

    event: Literal["text"] = "text"
    choice: int = 0
    text: str
    tokens: int = 1
    """Tokens this text stands for; the sum over a choice is its completion_tokens minus those
    that show no text (the end-of-sequence token, a stop string)."""
    logprobs: tuple[TokenLogprob, ...] = ()


class Thinking(ResponseModel):
    """Text the model thinks before it answers."""

    event: Literal["thinking"] = "thinking"
    choice: int = 0
    text: str
    tokens: int = 1
    logprobs: tuple[TokenLogprob, ...] = ()


class ToolCall(ResponseModel):
    """A whole tool call; arguments are parsed."""

    event: Literal["tool_call"] = "tool_call"
    choice: int = 0
    index: int
    """Position among the tool calls of this choice."""
    id: str
    name: str
    arguments: dict[str, Any]


class Finished(ResponseModel):
    """The request ended as it should."""

    event: Literal["finished"] = "finished"
    reasons: tuple[FinishReason, ...]
    """One per choice."""
    prompt_tokens: int
    completion_tokens: int
    """Over all choices."""
    reasoning_tokens: int = 0
    prompt_eval_ns: int
    """From leaving the queue to the first token."""
    eval_ns: int
    """From the first token to the last."""
    context: tuple[int, ...] | None = None
    """Token ids of prompt and first choice, when asked for."""


class Failed(ResponseModel):
    """The request ended in an error after it was accepted."""

    event: Literal["failed"] = "failed"
    code: ErrorCode
    message: str


Event = Annotated[
    Started | PromptTokens | Text | Thinking | ToolCall | Finished | Failed,
    Field(discriminator="event"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Parses one line of the stream."""
