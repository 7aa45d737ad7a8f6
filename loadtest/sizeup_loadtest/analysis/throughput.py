"""Rates per second over the time in which a block ran at its configured load. Pure.

Closed loop: concurrency sets the load and latency decides the rate. By Little's law the rate is
requests in flight / mean latency, whatever the output lengths. Counting completions in a short
window would be biased: fresh workers have not reached their long outputs yet.

Open loop: the request rate is given, and goodput is the part of it within the SLO. A server that
keeps up delivers what arrives, in the time over which it arrives; one that falls behind needs
longer.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from sizeup_loadtest.data.record import Outcome, Record

_NS = 1e-9

_BUSY = 0.9
"""Fraction of the peak number in flight from which the server counts as busy: lower, a server that
keeps up would appear slower than it is; higher, hardly any time would remain."""
_BACKLOGGED = 0.5
"""The same for a server that falls behind, which is fully busy from there on, and for longer."""

NAMES = ("out_tok_s", "requests_s", "goodput")

Rates = Mapping[str, tuple[float, float]]
"""For each of NAMES the count and the seconds."""
WithinSlo = Callable[[Record], bool]
Blocks = Sequence[Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the run's clock, in nanoseconds."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return max(0, self.end_ns - self.begin_ns) * _NS


def rates(blocks: Blocks, mode: str, level: float, within_slo: WithinSlo) -> list[Rates]:
    """Return the rates of each block; 0 seconds where the load never reached its level."""
    if mode == "closed":
        pairs = zip(blocks, steady(blocks), strict=True)
        return [_closed(block, inner, int(level), within_slo) for block, inner in pairs]
    stretch = _stretch(blocks, level)
    return [_open(block, level, stretch, within_slo) for block in blocks]


def _open(block: Sequence[Record], rate: float, stretch: float, within_slo: WithinSlo) -> Rates:
    offered = offered_window(block, rate).seconds
    counts = _counts(block, within_slo, stretch * offered)
    return {**counts, "goodput": (counts["goodput"][0], offered)}


def ramp_indices(block: Sequence[Record]) -> frozenset[int]:
    """Return the indices of a block's requests in ramp-up and ramp-down of a closed loop.

    Ramp-down has as many requests as ramp-up: the last ones sent, which differ from the last ones
    planned where the time limit ended the block early.
    """
    ordered = sorted(block, key=lambda r: r.planned.index)
    up = [r.planned.index for r in takewhile(lambda r: r.planned.ramp, ordered)]
    sent = sorted(ordered, key=lambda r: r.sent_ns)
    down = [r.planned.index for r in sent[len(sent) - len(up) :]]
    return frozenset([*up, *down])


def steady(blocks: Blocks) -> list[Sequence[Record]]:
    """Return each block's requests at full concurrency: those outside ramp-up and ramp-down.

    All requests where the time limit left fewer than a third outside: too few would be noisier
    than the bias of including some at lower concurrency.
    """
    ramps = [ramp_indices(block) for block in blocks]
    inner = [
        [r for r in block if r.planned.index not in ramp]
        for block, ramp in zip(blocks, ramps, strict=True)
    ]
    kept, sent = sum(map(len, inner)), sum(map(len, blocks))
    return [*inner] if 2 * kept >= sent - kept else [*blocks]


def _closed(
    block: Sequence[Record], inner: Sequence[Record], level: int, within_slo: WithinSlo
) -> Rates:
    """Count the steady requests, over the time in which that many users issue them."""
    window = full_window(block, level)
    in_flight = sum(_overlap(r, window) for r in block) / window.seconds if window.seconds else 0.0
    latency = sum(r.ended_ns - r.sent_ns for r in inner) * _NS
    return _counts(inner, within_slo, latency / in_flight if in_flight else 0.0)


def _overlap(record: Record, window: Window) -> float:
    begin, end = max(record.sent_ns, window.begin_ns), min(record.ended_ns, window.end_ns)
    return Window(begin, end).seconds


def _counts(records: Sequence[Record], within_slo: WithinSlo, seconds: float) -> Rates:
    return {
        "out_tok_s": (float(sum(map(tokens, records))), seconds),
        "requests_s": (float(sum(r.outcome is Outcome.OK for r in records)), seconds),
        "goodput": (float(sum(map(within_slo, records))), seconds),
    }


def tokens(record: Record) -> int:
    """Return the output tokens received, also of a request that failed later."""
    return (record.completion_tokens or len(record.chunk_ns)) if record.chunk_ns else 0


def offered_window(records: Sequence[Record], rate: float) -> Window:
    """Return the time over which an open loop's requests arrived, one mean gap after the last."""
    scheduled = [r.scheduled_ns for r in records]
    return Window(min(scheduled), max(scheduled) + round(1e9 / rate))


def full_window(block: Sequence[Record], level: int) -> Window:
    """Return the time from the first to the last time at full concurrency."""
    peak = min(level, len(block))
    full = [window for window, in_flight in _in_flight(block) if in_flight == peak]
    return Window(full[0].begin_ns, full[-1].end_ns) if full else Window(0, 0)


def _in_flight(block: Sequence[Record]) -> Iterator[tuple[Window, int]]:
    """Yield the number of requests in flight, for each window in which it was constant."""
    # An end sorts before a send at the same time, as it is what freed the worker.
    events = sorted((at, step) for r in block for at, step in ((r.sent_ns, 1), (r.ended_ns, -1)))
    in_flight = 0
    for (at, step), (later, _) in pairwise(events):
        in_flight += step
        yield Window(at, later), in_flight


def _stretch(blocks: Blocks, rate: float) -> float:
    """Return the time the server needs over the time in which requests arrived, 1 or more.

    The time needed is all tokens at the peak output, which is the output while most requests are in
    flight: the server's maximum when it is saturated, and above the mean when it is not. All blocks
    are pooled, because the peak of a single one is chance.

    0 where it cannot be known: the server seems to need longer, but all requests had arrived before
    it could become as busy as the load would make it.
    """
    offered = math.fsum(offered_window(block, rate).seconds for block in blocks)
    if _needed(blocks, _BUSY) <= offered:
        return 1.0
    known = _unloaded(blocks) <= offered / len(blocks)
    return max(1.0, _needed(blocks, _BACKLOGGED) / offered) if known else 0.0


def _needed(blocks: Blocks, fraction: float) -> float:
    """Return the seconds for all tokens at the output of the busiest time; 0 without any."""
    parts = [_busiest(block, fraction) for block in blocks]
    peak, seconds = (math.fsum(part[i] for part in parts) for i in (0, 1))
    total = math.fsum(tokens(record) for block in blocks for record in block)
    return total / peak * seconds if peak else 0.0


def _unloaded(blocks: Blocks) -> float:
    """Return the seconds of a mean response at the pace of the least disturbed one.

    The mean is weighted by tokens, because most of a server's work is in few long outputs.
    """
    ok = [r for block in blocks for r in block if r.outcome is Outcome.OK and tokens(r)]
    pace = min(((r.ended_ns - r.scheduled_ns) * _NS / tokens(r) for r in ok), default=0.0)
    counts = [tokens(r) for r in ok]
    return pace * sum(n * n for n in counts) / max(1, sum(counts))


def _busiest(block: Sequence[Record], fraction: float) -> tuple[float, float]:
    """Return tokens and seconds of the time with at least a fraction of the peak in flight."""
    spans = list(_in_flight(block))
    least = fraction * max(in_flight for _, in_flight in spans)
    busy = [window for window, in_flight in spans if in_flight >= least]
    begins = [window.begin_ns for window in busy]

    def contains(at_ns: int) -> bool:
        i = bisect_left(begins, at_ns) - 1
        return i >= 0 and at_ns <= busy[i].end_ns

    received = (tokens(r) / len(r.chunk_ns) for r in block for at in r.chunk_ns if contains(at))
    return math.fsum(received), math.fsum(window.seconds for window in busy)
