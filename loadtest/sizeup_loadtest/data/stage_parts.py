"""Parts of the results of a stage: latency by phase, turns, and gauges of the server."""

from collections.abc import Mapping

from sizeup_loadtest.data.estimates import Distribution, Estimate, Result


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
