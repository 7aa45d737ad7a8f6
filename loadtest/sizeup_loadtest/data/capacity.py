"""Results of the capacity search."""

from typing import Literal

from sizeup_loadtest.data.estimates import Proportion, Result


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
