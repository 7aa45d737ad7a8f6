"""When requests of an open loop come. Pure."""

from itertools import accumulate
from random import Random

from sizeup_loadtest.config.schema import Arrival

_SECOND_NS = 1_000_000_000


def offsets(arrival: Arrival, rate: float, count: int, seed: str) -> tuple[int, ...]:
    """Return nanoseconds since the stage began, rising; the first gap is drawn like the others.

    Poisson gaps are exponential and are not rescaled: a rescaled row is not Poisson, and the
    number of requests in a given time has to vary.
    """
    if arrival == "constant":
        return tuple(round(i * _SECOND_NS / rate) for i in range(count))
    draw = Random(seed)
    gaps = (draw.expovariate(rate) for _ in range(count))
    return tuple(round(at * _SECOND_NS) for at in accumulate(gaps))
