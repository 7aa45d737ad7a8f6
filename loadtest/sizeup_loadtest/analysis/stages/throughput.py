"""Rates per second over the time in which a block ran at its configured load. Pure.

Closed loop: concurrency sets the load and latency decides the rate. By Little's law the rate is
requests in flight / mean latency, whatever the output lengths. Counting completions in a short
window would be biased: fresh workers have not reached their long outputs yet. A request
that waits for its retry is in flight too.

Open loop: the request rate is given. The rates are of what arrived in a part of the measured time
(`open_loop`), a request that was served at its edge in proportion; goodput counts the requests that
were due in it and met the SLO.

Output tokens are those of requests that succeeded: the rest of a broken answer is of no use.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile

from sizeup_loadtest.analysis.stages.blocks import Blocks
from sizeup_loadtest.analysis.stages.open_loop import Part
from sizeup_loadtest.data.record import Outcome, Record

_NS = 1e-9

NAMES = ("out_tok_s", "requests_s", "goodput")

Rates = Mapping[str, tuple[float, float]]
"""For each of NAMES the count and the seconds."""
WithinSlo = Callable[[Record], bool]


def open_rates(part: Part, within_slo: WithinSlo) -> Rates:
    """Return the rates of a part of an open loop."""
    served = [(r, part.fraction(r)) for r in part.run if r.outcome is Outcome.OK]
    return _rates(served, part.arrivals, part.seconds, within_slo)


def _rates(
    served: Sequence[tuple[Record, float]],
    due: Sequence[Record],
    seconds: float,
    within_slo: WithinSlo,
) -> Rates:
    """Return the rates of what was served, each request by its share, in a time."""
    return {
        "out_tok_s": (math.fsum(tokens(r) * share for r, share in served), seconds),
        "requests_s": (math.fsum(share for _, share in served), seconds),
        "goodput": (float(sum(map(within_slo, due))), seconds),
    }


def without_ramps(block: Sequence[Record]) -> Sequence[Record]:
    """Return a block's requests outside ramp-up and ramp-down of a closed loop.

    Ramp-down has as many requests as ramp-up: the last ones sent, which differ from the last ones
    planned where the time limit ended the block early.
    """
    ordered = sorted(block, key=lambda r: r.planned.index)
    up = [r.planned.index for r in takewhile(lambda r: r.planned.ramp, ordered)]
    begun = sorted(ordered, key=lambda r: r.begun_ns)
    ramps = {*up, *(r.planned.index for r in begun[len(begun) - len(up) :])}
    return [r for r in block if r.planned.index not in ramps]


def steady(blocks: Blocks) -> Blocks:
    """Return each block's requests at full concurrency: those outside ramp-up and ramp-down.

    All requests where the time limit left fewer than a third outside: too few would be noisier
    than the bias of including some at lower concurrency.
    """
    inner = [without_ramps(block) for block in blocks]
    kept, sent = sum(map(len, inner)), sum(map(len, blocks))
    return inner if 2 * kept >= sent - kept else blocks


def closed_rates(
    block: Sequence[Record], inner: Sequence[Record], level: int, within_slo: WithinSlo
) -> Rates:
    """Count the steady requests, over the time in which that many users issue them."""
    begin, end = full_window(block, level)
    overlaps = (max(0, min(r.ended_ns, end) - max(r.begun_ns, begin)) * _NS for r in block)
    in_flight = sum(overlaps) / ((end - begin) * _NS) if end > begin else 0.0
    latency = sum(r.ended_ns - r.begun_ns for r in inner) * _NS
    seconds = latency / in_flight if in_flight else 0.0
    served = [(r, 1.0) for r in inner if r.outcome is Outcome.OK]
    return _rates(served, inner, seconds, within_slo)


def tokens(record: Record) -> int:
    """Return the output tokens of a request that succeeded, else 0."""
    return (record.completion_tokens or 0) if record.outcome is Outcome.OK else 0


def full_window(block: Sequence[Record], level: int) -> tuple[int, int]:
    """Return the first and the last time at full concurrency, in nanoseconds; equal without any."""
    # An end sorts before a send at the same time, as it is what freed the worker.
    events = sorted((at, step) for r in block for at, step in ((r.begun_ns, 1), (r.ended_ns, -1)))
    in_flight = accumulate(step for _, step in events)
    peak = min(level, len(block))
    full = [
        (begin, end)
        for ((begin, _), (end, _)), count in zip(pairwise(events), in_flight, strict=False)
        if count == peak
    ]
    return (full[0][0], full[-1][1]) if full else (0, 0)
