"""Which load to try next, and which was the largest that kept the objective. Pure.

Loads double until one misses the objective, then the gap is halved. A load that misses, but not
certainly (the upper Wilson bound of attainment is above the target), is tried again, its requests
counted together, before its value decides. So is one that fails by piling up alone.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sizeup_loadtest.analysis import intervals, latency
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import CapacityPoint

Mode = Literal["closed", "open"]

TRIES = 3
"""Of one load; then its value decides, certain or not."""
RESOLUTION = 0.1
"""The search ends when the smallest load that fails is this share above the largest that passes.
Attainment of a few dozen requests does not tell closer loads apart."""
FIRST_RATE = 1.0
"""Open loop: where a search begins, unless the server is known to be slower."""
SLOWEST_RATE = 1 / 64
"""A request a minute: a slower server has no capacity worth a search."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a search is for."""

    mode: Mode
    target: float
    """Share of requests that must keep the objective."""
    limit: float
    """Concurrent requests, or requests per second."""
    first: float = 1
    """The load to begin with."""

    @property
    def most(self) -> float:
        """Return the largest load that is tried."""
        return self.limit if self.mode == "open" else max(1, int(self.limit))


def next_level(points: Sequence[CapacityPoint], bounds: Bounds) -> float | None:
    """Return the next load, or None when the search is done. `points` has a load once."""
    if not points:
        return min(bounds.first, bounds.most)
    passed = [p.level for p in points if passes(p, bounds.target)]
    failed = [p.level for p in points if not passes(p, bounds.target)]
    low = max(passed, default=None)
    high = min((level for level in failed if low is None or level > low), default=None)
    if high is None:
        return _larger(low, bounds)
    if low is None:
        return _smaller(high, bounds)
    return _between(low, high, bounds.mode)


def _larger(low: float | None, bounds: Bounds) -> float | None:
    """Double, up to the limit."""
    return None if low is None or low >= bounds.most else min(2 * low, bounds.most)


def _smaller(high: float, bounds: Bounds) -> float | None:
    """Halve; a closed loop has nothing below one request at a time."""
    if bounds.mode == "closed":
        return None if high <= 1 else max(1, int(high) // 2)
    return high / 2 if high / 2 >= SLOWEST_RATE else None


def _between(low: float, high: float, mode: Mode) -> float | None:
    middle = (int(low) + int(high)) // 2 if mode == "closed" else (low + high) / 2
    return middle if middle > low and high > low * (1 + RESOLUTION) else None


def passes(point: CapacityPoint, target: float) -> bool:
    """Tell whether a load keeps the objective."""
    return point.attainment.value >= target and not point.saturated


def uncertain(point: CapacityPoint, target: float) -> bool:
    """Tell whether a load missed, but might keep the objective with more requests."""
    return not point.saturated and point.attainment.value < target <= point.attainment.high


def needs_retry(point: CapacityPoint, target: float, tries: int) -> bool:
    """Tell whether a load is to be tried again.

    One try in twenty or so looks like piling up where nothing does.
    """
    kept = point.attainment.value >= target
    return uncertain(point, target) or (tries == 1 and kept and point.saturated)


def max_load(points: Sequence[CapacityPoint], target: float) -> float | None:
    """Return the largest load that passes; None when none does."""
    return max((p.level for p in points if passes(p, target)), default=None)


def saturated(records: Sequence[Record]) -> bool:
    """Tell whether an open loop's requests piled up: more and more in flight, later and later.

    Both must grow over the order of sending. One alone is no proof: the time to the first token
    also grows with longer prompts. Until the first answer has ended, any load is in growing flight;
    those requests are left out. In a closed loop nothing can pile up.
    """
    filled = min((r.ended_ns for r in records), default=0)
    ordered = sorted(records, key=lambda r: r.scheduled_ns)
    begun = [r.scheduled_ns for r in ordered]
    ended = sorted(r.ended_ns for r in ordered)
    steady = [r for r in ordered if r.scheduled_ns >= filled]
    flying = [
        bisect_right(begun, r.scheduled_ns) - bisect_right(ended, r.scheduled_ns) for r in steady
    ]
    waited = [_waited(r) for r in steady]
    return intervals.is_growing([float(n) for n in flying]) and intervals.is_growing(waited)


def _waited(record: Record) -> float:
    """Return seconds to the first token, or to the end of a request that got none."""
    first = latency.ttft_sched(record)
    return (record.ended_ns - record.scheduled_ns) / 1e9 if first is None else first
