"""`POST /internal/v1/generate`: the response, one JSON event per line.

A stream is `started`, any number of `prompt` if `echo` was requested, any number of `text`,
`thinking` and `tool_call`, then exactly one terminal event: `finished` or `failed`. A stream
without a terminal event was truncated. Where `stream_tool_calls` was requested, a call may be
streamed: `tool_call_started`, any number of `tool_call_arguments`, then its `tool_call`; no other
event of the same choice comes between them.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from sizeup_wire.errors import ErrorCode
from sizeup_wire.message import ResponseModel


class FinishReason(StrEnum):
    """Why a choice ended."""

    STOP = "stop"
    """End-of-sequence token, stop token or stop string."""
    LENGTH = "length"
    """max_tokens, max_context or the model's context was reached."""
    TOOL_CALLS = "tool_calls"
    """As STOP, with at least one tool call in the output."""
    CANCELLED = "cancelled"
    """The client disconnected; visible in logs and metrics only."""


class TopLogprob(ResponseModel):
    """One of the most likely tokens at a position."""

    token: str
    bytes: tuple[int, ...]
    """UTF-8 bytes of the token; may be part of a character."""
    logprob: float


class TokenLogprob(TopLogprob):
    """The sampled token, by the distribution after penalties and before temperature."""

    top: tuple[TopLogprob, ...] = ()


class Started(ResponseModel):
    """The request was admitted: its prefill begins."""

    event: Literal["started"] = "started"
    queued_ns: int
    """Time in the waiting queue."""
    load_ns: int
    """Time the request waited for the model to load; 0 if it was loaded."""
    prompt_tokens: int
    """Of the first prompt, where there are several."""


class PromptToken(ResponseModel):
    """A prompt token by the model's own distribution: no penalties, bias or temperature."""

    token: str
    bytes: tuple[int, ...]
    logprob: float | None
    """None for the first token of a prompt."""
    top: tuple[TopLogprob, ...] = ()


class PromptTokens(ResponseModel):
    """A piece of the echoed prompt; a long prompt takes several, since lines are bounded."""

    event: Literal["prompt"] = "prompt"
    choice: int = 0
    """Index of the request's first choice: all its choices share the prompt."""
    text: str
    """Whole characters only; special tokens by name."""
    tokens: tuple[PromptToken, ...] = ()
    """The tokens of this piece if `logprobs` were requested, else none."""


class Text(ResponseModel):
    """Output text: whole characters only.

    Empty text with no tokens is a heartbeat: the model generates tokens that are not visible yet (a
    tool call, part of a character), and the client's deadline between events restarts.
    """

    event: Literal["text"] = "text"
    choice: int = 0
    text: str
    tokens: int = 1
    """Tokens of this text. Their sum over a choice is its completion_tokens without the tokens that
    have no text (end of sequence, a stop string)."""
    logprobs: tuple[TokenLogprob, ...] = ()


class Thinking(ResponseModel):
    """Reasoning text before the output text."""

    event: Literal["thinking"] = "thinking"
    choice: int = 0
    text: str
    tokens: int = 1
    logprobs: tuple[TokenLogprob, ...] = ()


class ToolCallStarted(ResponseModel):
    """The name of a call whose arguments are being generated."""

    event: Literal["tool_call_started"] = "tool_call_started"
    choice: int = 0
    index: int
    """As in the `tool_call` that follows, like id and name."""
    id: str
    name: str


class ToolCallArguments(ResponseModel):
    """The next part of a call's arguments; the parts together are a JSON object."""

    event: Literal["tool_call_arguments"] = "tool_call_arguments"
    choice: int = 0
    index: int
    text: str


class ToolCall(ResponseModel):
    """A complete tool call with parsed arguments."""

    event: Literal["tool_call"] = "tool_call"
    choice: int = 0
    index: int
    """Position among the choice's tool calls."""
    id: str
    name: str
    arguments: dict[str, Any]


class Finished(ResponseModel):
    """The request completed."""

    event: Literal["finished"] = "finished"
    reasons: tuple[FinishReason, ...]
    """One per choice; none of embeddings."""
    prompt_tokens: int
    cached_tokens: int = 0
    """Prompt tokens taken from the prefix cache, included in prompt_tokens."""
    completion_tokens: int
    """Over all choices."""
    reasoning_tokens: int = 0
    draft_tokens: int = 0
    """Tokens that a draft model proposed."""
    accepted_draft_tokens: int = 0
    """Of these, those that the model generated as well; they are completion_tokens."""
    prompt_eval_ns: int
    """From admission to the first token."""
    eval_ns: int
    """From the first token to the last."""
    context: tuple[int, ...] | None = None
    """Token ids of prompt and first choice, if requested."""
    stop_strings: tuple[str | None, ...] = ()
    """The stop string that ended each choice, None for any other end; empty is unknown."""


class Failed(ResponseModel):
    """The request failed after it was accepted."""

    event: Literal["failed"] = "failed"
    code: ErrorCode
    message: str
    param: str | None = None
    """As in Failure."""


Event = Annotated[
    Started
    | PromptTokens
    | Text
    | Thinking
    | ToolCallStarted
    | ToolCallArguments
    | ToolCall
    | Finished
    | Failed,
    Field(discriminator="event"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
"""Parses one line of the stream."""
