"""The figures of one answer, as responses and the API document have them. Pure."""

from dataclasses import dataclass

from sizeup_wire.catalog import Price
from sizeup_wire.events import Finished, Started


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """Price of the replica for the time of prefill and decode, as if it served nothing else."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Measured for one answer."""

    queue_seconds: float
    """The rest of ttft_seconds: in queues, and between the processes."""
    load_seconds: float
    """Waiting for the model to load."""
    ttft_seconds: float | None
    """Time to first token, waiting included."""
    prefill_seconds: float
    decode_seconds: float
    """From the first token to the last."""
    total_seconds: float
    prompt_tokens: int
    cached_tokens: int
    tokens: int
    tokens_per_second: float | None
    """While decoding; null for fewer than two tokens."""
    at_once: int
    """Models that were generating at the same time, this one included."""
    cost: AnswerCost | None
    """Null where the model has no price."""


@dataclass(slots=True)
class Stopwatch:
    """The times of one answer, in seconds by one monotonic clock."""

    begun: float
    first_token: float | None = None
    last_token: float | None = None
    tokens: int = 0
    load_seconds: float = 0.0
    """Of earlier attempts: waiting for the model before a replica took the request."""
    started: Started | None = None
    started_at: float | None = None
    at_once: int = 1

    def start(self, now: float, started: Started) -> None:
        self.started, self.started_at = started, now

    def token(self, now: float, count: int) -> None:
        if self.first_token is None:
            self.first_token = now
        self.last_token = now
        self.tokens += count

    def figures(self, now: float, finished: Finished | None, price: Price | None) -> AnswerFigures:
        """Return the figures; for an answer that was stopped, by the gateway's clock alone."""
        started = self.started
        load = self.load_seconds + (started.load_ns / 1e9 if started else 0.0)
        ttft = None if self.first_token is None else self.first_token - self.begun
        if finished is None:
            decode = (self.last_token or 0.0) - (self.first_token or 0.0)
            prefill = (self.first_token or now) - (self.started_at or now)
            tokens, cached = self.tokens, 0
        else:
            prefill, decode = finished.prompt_eval_ns / 1e9, finished.eval_ns / 1e9
            tokens, cached = finished.completion_tokens, finished.cached_tokens
        cost = None
        if price is not None:
            cost = AnswerCost(price.per_hour * (prefill + decode) / 3600, price.currency)
        return AnswerFigures(
            queue_seconds=max(0.0, (self.first_token or now) - self.begun - load - prefill),
            load_seconds=load,
            ttft_seconds=ttft,
            prefill_seconds=prefill,
            decode_seconds=decode,
            total_seconds=now - self.begun,
            prompt_tokens=started.prompt_tokens if started else 0,
            cached_tokens=cached,
            tokens=tokens,
            tokens_per_second=(tokens - 1) / decode if tokens > 1 and decode > 0 else None,
            at_once=self.at_once,
            cost=cost,
        )
