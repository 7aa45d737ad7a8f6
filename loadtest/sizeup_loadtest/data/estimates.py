"""The kinds of values in `results.json`; see `results`."""

from collections.abc import Callable
from typing import Self

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
