"""Arrival times and duration of an open loop. Pure."""

from itertools import accumulate, takewhile
from math import ceil
from random import Random

from sizeup_loadtest.config.schema import Arrival

SETTLING = 1 / 3
"""Fraction of a stage that is left out; see `analysis.stages.open_loop`."""
MIN_ANSWERS = 20
"""Mean answers that the rest lasts, at least."""
_SECOND_NS = 1_000_000_000


def duration(measured_seconds: float, response_seconds: float, limit: float) -> float:
    """Return the seconds of a stage, of which `measured_seconds` at least are measured."""
    measured = max(measured_seconds, MIN_ANSWERS * response_seconds)
    return min(limit, measured / (1 - SETTLING))


def offsets(arrival: Arrival, rate: float, seconds: float, seed: str) -> tuple[int, ...]:
    """Return the arrivals of a stage, increasing nanoseconds since it began; at least one.

    `rate` is requests per second.

    Poisson gaps, the first included, are exponential and not rescaled: the number of arrivals in
    a fixed time has to vary.
    """
    if arrival == "constant":
        return tuple(round(i * _SECOND_NS / rate) for i in range(max(1, ceil(seconds * rate))))
    random = Random(seed)
    times = accumulate(iter(lambda: random.expovariate(rate), None))
    first = next(times)
    return tuple(round(t * _SECOND_NS) for t in (first, *takewhile(lambda t: t < seconds, times)))
