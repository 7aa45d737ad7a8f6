"""The maximum load within the SLO: which load to try next, and the result. Pure.

Loads double until one misses the SLO, then the gap is bisected. A load that misses, but not
significantly (the upper Wilson bound of its attainment is above the target), is retried and its
requests pooled before its value decides. So is one that fails by saturation alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import knee, latency, open_loop
from sizeup_loadtest.analysis.stages.blocks import by_block
from sizeup_loadtest.config.schema import Mode, Slo
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import CapacityPoint, CapacityResult
from sizeup_loadtest.workload.schedule import Stage

TRIES = 3
"""Tries per load; after them its value decides, significant or not."""
RESOLUTION = 0.1
"""The search ends when the smallest failing load is this fraction above the largest passing one:
the attainment of a few dozen requests does not separate closer loads."""
FIRST_RATE = 1.0
"""Open loop: the initial request rate, unless the server is known to be slower."""
SLOWEST_RATE = 1 / 64
"""About a request per minute: a slower server has no useful capacity."""
_STAGE_PREFIX = "capacity-"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range and target of a search."""

    mode: Mode
    target: float
    """Fraction of requests that must meet the SLO."""
    limit: float
    """Concurrent requests, or requests per second."""
    first: float = 1
    """The initial load."""

    @property
    def most(self) -> float:
        """The largest load to try."""
        return self.limit if self.mode == "open" else max(1, int(self.limit))


def next_level(points: Sequence[CapacityPoint], bounds: Bounds) -> float | None:
    """Return the next load, or None when the search is done. Each load occurs once in `points`."""
    if not points:
        return min(bounds.first, bounds.most)
    passed = [p.level for p in points if passes(p, bounds.target)]
    failed = [p.level for p in points if not passes(p, bounds.target)]
    low = max(passed, default=None)
    high = min((level for level in failed if low is None or level > low), default=None)
    if high is None:
        return None if low is None or low >= bounds.most else min(2 * low, bounds.most)
    if low is None:
        return _smaller(high, bounds)
    return _between(low, high, bounds.mode)


def _smaller(high: float, bounds: Bounds) -> float | None:
    """Halve; the smallest closed loop is one request at a time."""
    if bounds.mode == "closed":
        return None if high <= 1 else max(1, int(high) // 2)
    return high / 2 if high / 2 >= SLOWEST_RATE else None


def _between(low: float, high: float, mode: Mode) -> float | None:
    middle = (int(low) + int(high)) // 2 if mode == "closed" else (low + high) / 2
    return middle if middle > low and high > low * (1 + RESOLUTION) else None


def passes(point: CapacityPoint, target: float) -> bool:
    """Whether a load meets the SLO."""
    return point.attainment.value >= target and not point.saturated


def needs_retry(point: CapacityPoint, target: float, tries: int) -> bool:
    """Whether a load is tried again: it missed without significance, or saturated once by chance.

    About one try in twenty looks saturated without being so.
    """
    if tries >= TRIES:
        return False
    met = point.attainment.value >= target
    insignificant = not point.saturated and point.attainment.value < target <= point.attainment.high
    return insignificant or (tries == 1 and met and point.saturated)


def max_load(points: Sequence[CapacityPoint], target: float) -> float | None:
    """Return the largest load that passes; None when none does."""
    return max((p.level for p in points if passes(p, target)), default=None)


def saturated(records: Sequence[Record]) -> bool:
    """Whether requests of an open loop piled up: requests in flight and TTFT both kept growing.

    TTFT alone proves nothing, as it grows with prompt length too. Requests before the end of the
    first response are left out: until then any load has a growing number in flight.
    """
    first_end = min((r.ended_ns for r in records), default=0)
    steady = open_loop.in_flight_since(records, first_end)
    in_flight = [n for _, n in steady]
    return intervals.is_growing(in_flight) and intervals.is_growing([_waited(r) for r, _ in steady])


def _waited(record: Record) -> float:
    """Return TTFT from the schedule in seconds, or the time to the error."""
    first = latency.ttft_sched(record)
    return (record.ended_ns - record.scheduled_ns) / 1e9 if first is None else first


def point(records: Sequence[Record], mode: Mode, level: float, slo: Slo) -> CapacityPoint:
    """Summarise one load; several tries of it are pooled as blocks."""
    first = records[0]
    load = Stage(first.stage, mode, level, first.planned.length)
    stage = latency.stage_result(load, records, slo)
    blocks, *_ = latency.measured(load, [r for r in records if not r.planned.warm_up], slo)
    return CapacityPoint(
        level=level,
        attainment=latency.attainment(mode, blocks, slo),  # also where it saturates the server
        out_tok_s=stage.out_tok_s.value if stage.out_tok_s else None,
        ttft_p50=stage.ttft_sched.p50 if stage.ttft_sched else None,
        ttft_p95=stage.ttft_sched.p95 if stage.ttft_sched else None,
        tpot_p50=stage.tpot.p50 if stage.tpot else None,
        saturated=mode == "open" and _mostly_saturated(records),
    )


def _mostly_saturated(records: Sequence[Record]) -> bool:
    """Whether most tries of a load were saturated: one of two may be by chance."""
    verdicts = [saturated(run) for run in by_block(records)]
    return 2 * sum(verdicts) > len(verdicts)


def result(
    points: Sequence[CapacityPoint], bounds: Bounds, finished: bool = True
) -> CapacityResult:
    ordered = tuple(sorted(points, key=lambda p: p.level))
    curve = [(p.level, p.out_tok_s) for p in ordered if p.out_tok_s is not None]
    bend, best = knee.find(curve), max_load(ordered, bounds.target)
    return CapacityResult(
        mode=bounds.mode,
        max_load=best,
        attainment=next((p.attainment for p in ordered if p.level == best), None),
        finished=finished,
        bounded_by_limit=best is not None and best == bounds.most,
        knee=bend,
        effective_parallelism=(
            knee.effective_parallelism(curve, bend) if bounds.mode == "closed" else None
        ),
        points=ordered,
    )


def stage_key(mode: Mode, level: float) -> str:
    return f"{_STAGE_PREFIX}{mode}-{level:g}"


def is_search(stage: str) -> bool:
    """Whether a stage key is of the capacity search, not of the plan."""
    return stage.startswith(_STAGE_PREFIX)


def first_rate(fastest: float | None) -> float:
    """Return the initial rate, given the seconds of the fastest response.

    A server sustains 1 / fastest even without concurrency; starting above its capacity would
    leave a backlog to wait for.
    """
    rate = FIRST_RATE if fastest is None else min(FIRST_RATE, 1 / fastest)
    return max(rate, SLOWEST_RATE)
