"""The steady state of an open loop: its duration, and whether a stage reached it. Pure.

A stage begins with an empty server, whose first requests are fast under any load. So a stage runs
for a time, not for a number of requests, and its first third is not measured; nor are arrivals
within the last answer, which ends on a server that empties. That costs half as much time again.

A queue settles the later, the closer the load is to capacity: under Poisson arrivals at rate a,
served at rate c, within about 2a / (c - a)**2 seconds (the relaxation time of its diffusion limit).
At 80 % of capacity that is a few answers, at 92 % a minute, at 96 % five. The capacity is seen in
the stage itself, as the rate at which requests end while others wait. A stage that is too short for
it is `transient`, one whose load is above it `saturated`; neither has an attainment.

tests/loadtest/analysis/stages/test_open_loop.py holds it against simulated queues of known loads.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import fmean, median
from typing import Literal

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.workload.arrivals import MIN_ANSWERS, SETTLING

LoadState = Literal["steady", "transient", "saturated"]

_RELAXATIONS = 10
"""Relaxation times that a stage lasts: its settling third is then more than three of them."""
_WAIT_SHARE = 0.1
"""Of the mean latency, the wait from which there is a queue to settle; below it the first third is
long enough, and what looks like waiting is the spread of prefill."""
_SLACK = 0.1
"""Fraction of an answer by which a first token may be late without having waited."""
_MIN_ENDS = 8
"""Requests that end while others wait, below which their rate says nothing."""
_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the time that is measured."""

    begin_ns: int
    end_ns: int
    arrivals: Sequence[Record]
    """Requests that were due in this time."""
    run: Sequence[Record]
    """All requests of the stage, some of which were served in this time."""

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.begin_ns) * _NS

    def fraction(self, record: Record) -> float:
        """Return the part of an answer that arrived in this time."""
        chunks = record.chunk_ns or (record.ended_ns,)
        return sum(self.begin_ns <= at < self.end_ns for at in chunks) / len(chunks)


def parts(run: Sequence[Record], count: int) -> list[Part]:
    """Cut the measured time of a stage; one part with every request where that time is empty."""
    begin, end = _span(run)
    first = round(begin + SETTLING * (end - begin))
    last = end - round(_answer(run) / _NS)
    if not any(first <= r.scheduled_ns < last for r in run):
        return [whole(run)]
    edges = [first + (last - first) * i // count for i in range(count + 1)]
    return [
        Part(a, b, [r for r in run if a <= r.scheduled_ns < b], run) for a, b in pairwise(edges)
    ]


def whole(run: Sequence[Record]) -> Part:
    """Return a stage as one part, with every request."""
    return Part(_span(run)[0], max(r.ended_ns for r in run), run, run)


def _span(run: Sequence[Record]) -> tuple[int, int]:
    """Return when a stage began and when the last of its requests was due."""
    begin = min(r.scheduled_ns - (r.planned.offset_ns or 0) for r in run)
    return begin, max(r.scheduled_ns for r in run)


def state(run: Sequence[Record], rate: float) -> LoadState:
    """Say whether a stage reached its steady state."""
    begin, end = _span(run)
    needed = seconds_needed(run, rate)
    if needed == inf:
        return "saturated"
    # Arrivals are random: the last one is due a little before the planned end.
    return "steady" if needed <= 1.1 * (end - begin) * _NS + 2 / rate else "transient"


def seconds_needed(run: Sequence[Record], rate: float) -> float:
    """Return how long a stage has to be for its steady state; infinity when it has none."""
    begin, end = _span(run)
    needed = MIN_ANSWERS * _answer(run) / (1 - SETTLING)
    served = service_rate(run)
    if served is not None:
        if served <= rate:
            return inf
        needed = max(needed, _RELAXATIONS * 2 * rate / (served - rate) ** 2)
    # Growth of a stage this short may be chance, which twice the time shows.
    settled = in_flight_since(run, begin + SETTLING * (end - begin))
    growing = intervals.is_growing([n for _, n in settled])
    return max(needed, 2 * (end - begin) * _NS) if growing else needed


def service_rate(run: Sequence[Record]) -> float | None:
    """Return the requests per second that end while others wait; None where none wait for long."""
    ok = _answered(run)
    if len(ok) < _MIN_ENDS:
        return None
    base, answer = _undisturbed_ttft(ok), _answer(ok)
    waits = [max(0, _ttft_ns(r) - base) for r in ok]
    if fmean(waits) < _WAIT_SHARE * fmean(r.ended_ns - r.scheduled_ns for r in ok):
        return None
    late = round(base + _SLACK * answer / _NS)
    spans = _merged([(r.scheduled_ns + late, r.scheduled_ns + _ttft_ns(r)) for r in ok])
    ends = sorted(r.ended_ns for r in run)
    ended = sum(bisect_right(ends, b) - bisect_right(ends, a) for a, b in spans)
    seconds = sum(b - a for a, b in spans) * _NS
    return ended / seconds if ended >= _MIN_ENDS and seconds else None


def _answered(run: Sequence[Record]) -> list[Record]:
    return [r for r in run if r.outcome is Outcome.OK and r.chunk_ns]


def _ttft_ns(record: Record) -> int:
    return record.chunk_ns[0] - record.scheduled_ns


def _undisturbed_ttft(answered: Sequence[Record]) -> float:
    """Return the TTFT of the quarter of requests that found the fewest in flight."""
    in_flight = dict(zip(map(id, answered), in_flight_at_arrival(answered), strict=True))
    quiet = sorted(answered, key=lambda r: in_flight[id(r)])[: max(1, len(answered) // 4)]
    return median(_ttft_ns(r) for r in quiet)


def _answer(run: Sequence[Record]) -> float:
    """Return the seconds of an answer without its wait; 0 without answers."""
    ok = _answered(run)
    if not ok:
        return 0.0
    base = _undisturbed_ttft(ok)
    return median(r.ended_ns - r.scheduled_ns - max(0, _ttft_ns(r) - base) for r in ok) * _NS


def in_flight_at_arrival(records: Sequence[Record]) -> list[int]:
    """Return how many requests are in flight when each one is due, itself included."""
    starts = sorted(r.scheduled_ns for r in records)
    ends = sorted(r.ended_ns for r in records)
    return [
        bisect_right(starts, r.scheduled_ns) - bisect_right(ends, r.scheduled_ns) for r in records
    ]


def in_flight_since(records: Sequence[Record], begin_ns: float) -> list[tuple[Record, float]]:
    """Return the requests that are due from a time on, in order, each with the number in flight."""
    ordered = sorted(records, key=lambda r: r.scheduled_ns)
    numbers = zip(ordered, in_flight_at_arrival(ordered), strict=True)
    return [(r, float(n)) for r, n in numbers if r.scheduled_ns >= begin_ns]


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of spans; empty ones are left out."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and begin <= merged[-1][1]:
            first, last = merged.pop()
            begin, end = first, max(last, end)
        merged.append((begin, end))
    return merged
