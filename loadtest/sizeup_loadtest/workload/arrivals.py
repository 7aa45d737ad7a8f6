"""Arrival times of open-loop requests. Pure."""

from itertools import accumulate
from random import Random

from sizeup_loadtest.config.schema import Arrival

_SECOND_NS = 1_000_000_000


def offsets(arrival: Arrival, rate: float, count: int, seed: str) -> tuple[int, ...]:
    """Return increasing nanoseconds since the stage began; `rate` is requests per second.

    Poisson gaps, the first included, are exponential and not rescaled: the number of arrivals in
    a fixed time has to vary.
    """
    if arrival == "constant":
        return tuple(round(i * _SECOND_NS / rate) for i in range(count))
    random = Random(seed)
    gaps = (random.expovariate(rate) for _ in range(count))
    return tuple(round(offset * _SECOND_NS) for offset in accumulate(gaps))
