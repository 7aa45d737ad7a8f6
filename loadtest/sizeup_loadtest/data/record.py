"""What was seen of one request: raw times and counts, from which every figure is computed.

Times are nanoseconds of one monotonic clock (`perf_counter_ns`) since the run began. They are
taken when bytes are read, before they are parsed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Api = Literal["openai", "ollama"]
Length = Literal["natural", "forced"]
"""natural: the model ends its answer; forced: every answer has the same number of tokens."""


class Outcome(StrEnum):
    """How a request ended; everything but OK is an error and misses every objective."""

    OK = "ok"
    BUSY = "busy"
    """429."""
    REFUSED = "refused"
    """Any other 4xx."""
    UNAVAILABLE = "unavailable"
    """503 and other 5xx before the first byte."""
    FAILED = "failed"
    """An error inside the stream."""
    TRUNCATED = "truncated"
    """The stream ended without its last event."""
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    """The connection was refused or lost."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One request of the schedule, before it is sent."""

    index: int
    """Position in its stage's schedule, 0 up."""
    block: int
    model: str
    prompt: str
    """Key of the prompt in the plan, the same for every model."""
    max_tokens: int
    length: Length
    offset_ns: int | None
    """Open loop: when to send, since the stage began. Closed loop: None."""
    warm_up: bool = False
    edge: bool = False
    """It fills or empties a closed loop: part of its time fewer requests than asked are there."""


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """Ollama's own durations of one answer, in nanoseconds."""

    total: int
    load: int
    prompt_eval: int
    eval: int


@dataclass(frozen=True, slots=True)
class Record:
    """One request as the client saw it."""

    stage: str
    """Key of the stage: `closed-4`, `open-2.5`, `capacity-closed-8`, ..."""
    planned: Planned
    api: Api
    scheduled_ns: int
    """When it should have been sent: by the schedule, or when its worker was free (closed loop)."""
    sent_ns: int
    ended_ns: int
    """When the stream was closed or the error was known."""
    chunk_ns: tuple[int, ...]
    """Arrival of every chunk that carried text, thinking or a tool call; a role alone is none."""
    prompt_tokens: int | None
    completion_tokens: int | None
    """From the server's usage, else the number of chunks; see `counted_by`."""
    counted_by: Literal["usage", "chunks"] | None
    outcome: Outcome
    error: str = ""
    """The server's or the client's words, cut to 500 characters."""
    finish_reason: str | None = None
    text: str = ""
    """The answer, kept where a report shows it or ability is graded; else empty."""
    server: ServerTimes | None = None
    shard: int = 0
    prompt_words: int = 0
    """Of the prompt as it was sent."""
    finished_ns: int | None = None
    """Arrival of the chunk with the finish reason: the last token's, also where it has no text, as
    the end of an answer has none, nor what follows it in forced length."""
