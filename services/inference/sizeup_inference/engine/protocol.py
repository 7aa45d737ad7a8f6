"""The interface between an engine and its callers. Standard library only.

Commands enter through `submit` and `cancel`, from any thread. Events leave in batches, one per
step, on the engine's own thread, through the `Deliver` callable given to its constructor.
Where `prompt_logprobs` are requested, every `PromptLogprobs` comes before the first `Token`.
Every submitted request ends in exactly one of: a `Token` with `finish` for each of its choices,
`Embedded`, `Cancelled`, or `Failed`. No event of a request follows that.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Finish(StrEnum):
    """Why a choice ended."""

    STOP = "stop"
    LENGTH = "length"


class Pooling(StrEnum):
    """Which of a prompt's last hidden states make its embedding (vLLM's pooling types)."""

    MEAN = "mean"
    LAST = "last"
    CLS = "cls"
    """The first one."""


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
    """Window of repetition_penalty over prompt and output, in tokens; -1 is unlimited."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    """Choice i uses a separate generator, seeded with seed + i; None seeds at random."""
    logprobs: int | None = None
    """None: no logprobs; k >= 0: those of the sampled token and of the top k."""


class ConstraintError(Exception):
    """A constraint exceeds its limits; the request is at fault."""


class ConstraintState(Protocol):
    """What may come next in one choice. Used by one thread at a time."""

    def mask(self) -> "array[int]":
        """Return a bit for each token of the vocabulary, 1 where it may come next.

        In words of 32 bits, the lowest bit first. Raises ConstraintError.
        """

    def accept(self, token_id: int) -> None:
        """Add the next token, which the mask allows."""


class Constraint(Protocol):
    """What the output of a request may be."""

    def start(self) -> ConstraintState:
        """Return the state of a choice before its first token. Thread-safe."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request in token ids, with every default resolved."""

    id: str
    """Unique among unfinished requests, or submit raises ValueError."""
    prompt_ids: tuple[int, ...]
    """At least one token, or submit raises ValueError; each within the model's vocabulary."""
    sampling: SamplingParams
    max_tokens: int
    """At least 1; prompt and output together fit the engine's context."""
    min_tokens: int = 0
    """Stop tokens cannot be sampled before this many tokens."""
    stop_token_ids: frozenset[int] = frozenset()
    """Tokens that end a choice, end-of-sequence tokens included unless they are ignored."""
    choices: int = 1
    embed: Pooling | None = None
    """Run the prompt only and deliver Embedded; max_tokens is ignored."""
    prompt_logprobs: int | None = None
    """None: none; k >= 0: those of the prompt's tokens and of the top k at each position.
    Ignored by an embedding."""
    constraint: Constraint | None = None
    """It allows a stop token where the output is complete, and nowhere else."""
    cache_salt: str | None = None
    """Requests share pages of the prefix cache with requests of an equal salt only."""
    client: str = ""
    """Whose request it is: the waiting queue is fair between clients."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The request left the waiting queue; its prefill starts with the next step."""

    request_id: str
    at_ns: int
    """time.monotonic_ns() of the engine, like every at_ns."""
    cached_tokens: int = 0
    """Tokens of the prompt that are taken from the prefix cache."""


MIN_LOGPROB = -9999.0
"""In place of minus infinity, which JSON cannot represent; as in vLLM and OpenAI."""


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log-probabilities at one position, after penalties and bias, before temperature."""

    chosen: float
    top: tuple[tuple[int, float], ...] = ()
    """(token id, log-probability), most likely first."""


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """Log-probabilities of consecutive tokens of the prompt, which all choices share.

    They are the model's own: before penalties, bias and temperature. The pieces of a request come
    in order and once, also where a preempted prompt is computed again, and cover every token but
    the first, which has no predecessor.
    """

    request_id: str
    start: int
    """Position in the prompt of the first one; at least 1."""
    logprobs: tuple[Logprobs, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token of one choice; the last one carries the finish reason."""

    request_id: str
    choice: int
    token_id: int
    at_ns: int
    finish: Finish | None = None
    """STOP: token_id is one of the stop tokens and is not part of the text."""
    logprobs: Logprobs | None = None
    draft_tokens: int = 0
    """Tokens that a draft model proposed for this position and those after it, in its step."""
    accepted: bool = False
    """It is one of these."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The prompt's last hidden states, pooled."""

    request_id: str
    vector: "array[float]"
    """float32[hidden_size]"""
    at_ns: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The request was cancelled and its pages are free."""

    request_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended in an error."""

    request_id: str
    message: str
    at_ns: int
    is_invalid: bool = False
    """The request is at fault, and would fail again."""


EngineEvent = Admitted | PromptLogprobs | Token | Embedded | Cancelled | Failed
Deliver = Callable[[Sequence[EngineEvent]], None]
"""Called on the engine's thread with the events of one step, in order; must not block or raise."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot; counters are since start."""

    running: int
    waiting: int
    pages_used: int
    pages_total: int
    steps: int
    prompt_tokens: int
    """Computed ones: without those of the prefix cache, again after a preemption."""
    completion_tokens: int
    prefix_cache_queries: int
    """Tokens of admitted sequences that were looked up in the prefix cache."""
    prefix_cache_hits: int
    """Of these, the tokens that were found."""
    preemptions: int
    last_batch_size: int
    """Sequences in the latest step."""
    last_step_seconds: float
    draft_tokens: int = 0
    """Proposed by a draft model."""
    draft_accepted_tokens: int = 0
    """Of these, those that the model generated as well."""
    draft_length: int = 0
    """Draft tokens of each sequence in the latest step; 0 where drafting does not pay."""


class QueueFullError(Exception):
    """The waiting queue is full; the same request may succeed later."""


class EngineDeadError(Exception):
    """The engine's thread has ended; the process must be restarted."""


class RequestTooLargeError(Exception):
    """The request can never be admitted: its tokens exceed the KV cache."""


class TooManyChoicesError(Exception):
    """The request can never be admitted: its choices exceed running and waiting slots."""


class EngineClient(Protocol):
    """Generate token ids from token ids.

    Every method may be called from any thread; all but close return immediately.
    """

    def submit(self, request: EngineRequest) -> None:
        """Queue a request, or raise one of the errors above."""

    def cancel(self, request_id: str) -> None:
        """End a request before the next step; unknown and finished ids are ignored."""

    def stats(self) -> EngineStats:
        """Return a snapshot."""

    def is_alive(self) -> bool:
        """Return whether the engine can still generate."""

    def close(self, timeout_seconds: float) -> None:
        """Fail unfinished requests, stop the thread and join it with this timeout."""
