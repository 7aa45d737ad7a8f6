"""One request as the client saw it: raw timestamps and counts, the source of every metric.

Timestamps are nanoseconds of one monotonic clock (`perf_counter_ns`) since the run began. They are
taken when bytes are read, before they are parsed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Api = Literal["openai", "ollama"]
Counted = Literal["usage", "length", "chunks"]
"""Source of a token count: the server; the fixed length that was asked for, where the output ended
by it; or the chunks, which may hold several tokens each."""
Length = Literal["until_eos", "fixed"]
"""until_eos: the model ends its output; fixed: `ignore_eos`, every output has `max_tokens`."""


class Outcome(StrEnum):
    """How a request ended; everything but OK is an error and misses the SLO."""

    OK = "ok"
    BUSY = "busy"
    """HTTP 429, on every attempt."""
    REFUSED = "refused"
    """Any other HTTP 4xx."""
    UNAVAILABLE = "unavailable"
    """HTTP 5xx, before the first byte of the body."""
    FAILED = "failed"
    """An error inside the stream."""
    TRUNCATED = "truncated"
    """The stream ended without its final event."""
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    """The connection was refused or lost."""
    CLIENT = "client"
    """Not sent, by no fault of the server: no file descriptor or port is left on this machine."""


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request of the schedule, before it is sent."""

    index: int
    """Position in the schedule of its stage, from 0."""
    block: int
    model: str
    prompt: str
    """Key of the prompt in the plan, the same for every model."""
    max_tokens: int
    length: Length
    offset_ns: int | None
    """Open loop: time to send, since the stage began; of a later turn that of the first. Closed
    loop: None."""
    warm_up: bool = False
    ramp: bool = False
    """Sent during ramp-up or ramp-down of a closed loop, below the configured concurrency."""
    conversation: int | None = None
    """Number of the conversation that it is a turn of; None for a request of its own."""
    turn: int = 0
    """From 0. A later turn is sent after the answer to the earlier one, with all answers so far."""


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """Durations that Ollama's API reports with a response, in nanoseconds."""

    total: int
    load: int
    prompt_eval: int
    eval: int


@dataclass(frozen=True, slots=True)
class Record:
    """One finished request."""

    stage: str
    """Key of the stage: `closed-4-fixed`, `open-2.5-until_eos`, `capacity-closed-8`, ..."""
    planned: PlannedRequest
    api: Api
    scheduled_ns: int
    """Intended send time: from the schedule, or when its user became free (closed loop)."""
    sent_ns: int
    ended_ns: int
    """When the stream was closed or the error was detected."""
    chunk_ns: tuple[int, ...]
    """Arrival of every chunk with text, thinking or a tool call; a chunk with only a role is
    not counted."""
    prompt_tokens: int | None
    completion_tokens: int | None
    """From the server's usage, else the length that was asked for, else the number of chunks; see
    `counted_by`."""
    counted_by: Counted | None
    outcome: Outcome
    error: str = ""
    """Message of the server or the client, cut to 500 characters."""
    finish_reason: str | None = None
    text: str = ""
    """The output, where a report shows it or ability is graded; else empty."""
    server: ServerTimes | None = None
    prompt_words: int = 0
    """Words of the prompt as it was sent."""
    finished_ns: int | None = None
    """Arrival of the chunk with the finish reason, which marks the last token even where that
    token has no text (as EOS, and what follows it under `ignore_eos`)."""
    cached_tokens: int | None = None
    """Of the prompt, the tokens that the server took from its prefix cache; None where its API does
    not report them, as Ollama's."""
    answer_ns: int | None = None
    """Arrival of the first chunk of the answer, apart from thinking; None without one."""
    first_tokens: int | None = None
    """Tokens of the first chunk, where the server sends usage or logprobs with it."""
    retries: int = 0
    """Attempts that were refused with 429 or 503 before this one."""
    waited_ns: int = 0
    """Time from sending the first of them to `sent_ns`."""

    @property
    def begun_ns(self) -> int:
        """When the first attempt was sent."""
        return self.sent_ns - self.waited_ns
