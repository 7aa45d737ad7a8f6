"""Parts of the results: values with intervals, capacity, and what a stage has beside its times."""

from collections.abc import Callable, Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Rejects unknown fields and non-finite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Estimate(Result):
    """A value with its 95 % interval, bootstrapped over blocks; no interval below 5 blocks."""

    value: float
    low: float | None = None
    high: float | None = None

    def map(self, change: Callable[[float], float]) -> Self:
        """Change the value and both ends of its interval alike."""
        low, high = (None if end is None else change(end) for end in (self.low, self.high))
        return type(self)(value=change(self.value), low=low, high=high)

    def reciprocal(self, numerator: float = 1.0) -> Self | None:
        """Return `numerator` / this, whose ends swap; None where it is not above 0."""
        if self.value <= 0:
            return None
        if not self.low or not self.high:  # an interval down to 0 gives no upper end
            return type(self)(value=numerator / self.value)
        low, high = numerator / self.high, numerator / self.low
        return type(self)(value=numerator / self.value, low=low, high=high)


class Proportion(Result):
    """A fraction with its 95 % Wilson interval."""

    successes: int
    n: int
    value: float
    low: float
    high: float


class Distribution(Result):
    """Times in seconds. A percentile is null where n is too small for its own 95 % interval."""

    n: int
    """Number of requests, also where each request has several values."""
    mean: Estimate
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    low: float
    high: float
    """Minimum and maximum."""


class CapacityPoint(Result):
    """One load that was tried."""

    level: float
    attainment: Proportion
    """The value decides whether the load passes, whatever its interval."""
    out_tok_s: float | None
    ttft_p50: float | None
    ttft_p95: float | None = None
    tpot_p50: float | None
    saturated: bool
    """Requests in flight and TTFT both kept growing."""


class CapacityResult(Result):
    """The maximum load within the SLO, and the knee of throughput over load."""

    mode: Literal["closed", "open"]
    max_load: float | None
    """None when no load tried met the SLO."""
    attainment: Proportion | None = None
    """At that load."""
    bounded_by_limit: bool
    """True when the search ended at its configured upper limit."""
    client_late: bool = False
    """True when the client itself was late at the smallest failing load: a larger one may pass."""
    finished: bool = True
    """False when the search was interrupted: a larger load may pass."""
    knee: float | None
    effective_parallelism: float | None
    """Throughput at the knee (interpolated between tried loads) / throughput of one stream."""
    points: tuple[CapacityPoint, ...]


class LatencyBreakdown(Result):
    """Request latency by phase, from the durations that Ollama's API reports."""

    load: Distribution
    queue: Distribution
    """The remainder: queueing and network."""
    prefill: Distribution
    decode: Distribution


class TurnResult(Result):
    """One turn of the conversations of a stage, with those of ramp-up and ramp-down.

    Its prompt has all earlier turns and answers.
    """

    turn: int
    """From 1."""
    n: int
    failed: int
    """Failed requests; each ended its conversation."""
    prompt_tokens: Estimate | None
    cached_tokens: Estimate | None
    ttft: Distribution | None


class MeanAndMax(Result):
    """A gauge of the server while a stage ran."""

    mean: float
    max: float


class ServerMetrics(Result):
    """What the server's /metrics reported while a stage ran; None where it has no such metric."""

    queue: MeanAndMax | None = None
    """Requests waiting."""
    kv_usage: MeanAndMax | None = None
    """Fraction of the KV cache in use."""
    running: MeanAndMax | None = None
    """Requests in the batch."""
    sources: Mapping[str, str] = {}
    """Field -> name of the server's metric."""
