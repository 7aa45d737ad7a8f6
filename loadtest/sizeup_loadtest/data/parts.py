"""Parts of the results: capacity; of a stage latency by phase, turns, and gauges of the server."""

from collections.abc import Mapping
from typing import Literal

from sizeup_loadtest.data.estimates import Distribution, Estimate, Proportion, Result


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
