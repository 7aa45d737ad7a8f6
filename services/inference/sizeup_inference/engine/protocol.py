"""What the HTTP side and an engine say to each other. Standard library only.

Commands go in by `submit` and `cancel` from any thread; events come out in batches, one batch per
step, on the engine's own thread, through the `Deliver` callable given to its constructor.
Where `prompt_logprobs` are asked for, all `PromptLogprobs` come before the first `Token`.
Every submitted request ends in exactly one of: a `Token` with `finish` for each of its choices,
`Embedded`, `Cancelled`, or `Failed`. Nothing about a request is delivered after that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Finish(StrEnum):
    """Say why a choice ended."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Resolved sampling parameters of one request; the neutral values are the defaults."""

    temperature: float = 1.0
    """0 is greedy: the argmax of the logits after penalties, bit-exact."""
    top_k: int = 0
    """0 keeps every token."""
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repeat_last_n: int = -1
    """Window of repetition_penalty over prompt and answer, in tokens; -1 is everything."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    """Choice i draws from a generator of its own seeded with seed + i; None seeds at random."""
    logprobs: int | None = None
    """None: no logprobs; k >= 0: the chosen token's and those of the k likeliest."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request in token ids, with every default resolved."""

    id: str
    """Not that of a request that has yet to end: submit raises ValueError."""
    prompt_ids: tuple[int, ...]
    """At least one token, or submit raises ValueError; each one of the model's vocabulary."""
    sampling: SamplingParams
    max_tokens: int
    """At least 1; prompt and answer fit the engine's context together."""
    min_tokens: int = 0
    """Stop tokens cannot be drawn before this many tokens."""
    stop_token_ids: frozenset[int] = frozenset()
    """Tokens that end a choice, end-of-sequence tokens included unless they are ignored."""
    choices: int = 1
    embed: bool = False
    """Run the prompt only and deliver Embedded; max_tokens is not used."""
    prompt_logprobs: int | None = None
    """None: none; k >= 0: those of the prompt's tokens, each with those of the k likeliest.
    Not used by an embedding."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The request left the queue; its prompt is in the next step."""

    request_id: str
    at_ns: int
    """time.monotonic_ns() of the engine, like every at_ns."""
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log-probabilities of one step, after penalties and bias, before temperature."""

    chosen: float
    top: tuple[tuple[int, float], ...] = ()
    """(token id, logprob), likeliest first."""


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """Log-probabilities of consecutive tokens of the prompt, which all choices share.

    They are the model's own: before penalties, bias and temperature. The pieces of a request come
    in order and once, also where a preempted prompt is computed again, and cover every token but
    the first, which follows nothing.
    """

    request_id: str
    start: int
    """Position in the prompt of the first one; at least 1."""
    logprobs: tuple[Logprobs, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token of one choice; the last one says why it is the last."""

    request_id: str
    choice: int
    token_id: int
    at_ns: int
    finish: Finish | None = None
    """STOP: token_id is one of the stop tokens and is not part of the text."""
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The mean of the prompt's last hidden states: float[hidden_size]."""

    request_id: str
    vector: tuple[float, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The request was cancelled and its pages are free."""

    request_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The request cannot go on."""

    request_id: str
    message: str
    at_ns: int


EngineEvent = Admitted | PromptLogprobs | Token | Embedded | Cancelled | Failed
Deliver = Callable[[Sequence[EngineEvent]], None]
"""Called on the engine's thread with what one step made, in order; must not block or raise."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot; counters are since start."""

    running: int
    waiting: int
    pages_used: int
    pages_total: int
    steps: int
    prompt_tokens: int
    completion_tokens: int
    preemptions: int
    last_batch_size: int
    """Sequences in the latest step."""
    last_step_seconds: float


class QueueFullError(Exception):
    """The waiting queue has no room; the same request may succeed later."""


class EngineDeadError(Exception):
    """The engine's thread has ended; only a restart helps."""


class RequestTooLargeError(Exception):
    """The request can never be admitted: its tokens do not fit the KV pool."""


class TooManyChoicesError(Exception):
    """The request can never be admitted: its choices exceed the places to run and to wait."""


class Engine(Protocol):
    """Turn token ids into token ids.

    Every method may be called from any thread; all but close return at once.
    """

    def submit(self, request: EngineRequest) -> None:
        """Take a request, or raise one of the errors above."""

    def cancel(self, request_id: str) -> None:
        """End a request at the next step; unknown and ended ids are ignored."""

    def stats(self) -> EngineStats:
        """Return a snapshot."""

    def is_alive(self) -> bool:
        """Tell whether the engine can still answer."""

    def close(self, timeout_seconds: float) -> None:
        """Fail what runs, stop the thread and wait for it at most this long."""
