"""The kinds of values in `results.json`; see `results`."""

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
