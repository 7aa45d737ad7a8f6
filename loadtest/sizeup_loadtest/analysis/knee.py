"""Where throughput bends: two straight lines through throughput by load. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, inf

_BENT = 0.5
"""After a knee, throughput must grow at most this share as fast as before it."""

Point = tuple[float, float]
"""Load and throughput."""


@dataclass(frozen=True, slots=True)
class FittedLine:
    """y = at + slope * x."""

    at: float
    slope: float
    error: float
    """Sum of squared distances of the points it was fitted to."""


def find(points: Sequence[Point]) -> float | None:
    """Return the load at which two lines, each through two points or more, fit best and meet.

    None for fewer than four loads, or where the second line is not much flatter.
    """
    ordered = sorted(points)
    best: tuple[float, float | None] = (inf, None)
    for cut in range(2, len(ordered) - 1):
        left, right = fit(ordered[:cut]), fit(ordered[cut:])
        error = left.error + right.error
        if error < best[0]:
            best = (error, _meeting(left, right, ordered[cut - 1][0], ordered[cut][0]))
    return best[1]


def fit(points: Sequence[Point]) -> FittedLine:
    """Fit one line by least squares; two points or more with different loads."""
    n = len(points)
    mean_x, mean_y = fsum(x for x, _ in points) / n, fsum(y for _, y in points) / n
    spread = fsum((x - mean_x) ** 2 for x, _ in points)
    slope = fsum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    at = mean_y - slope * mean_x
    return FittedLine(at, slope, fsum((y - at - slope * x) ** 2 for x, y in points))


def _meeting(left: FittedLine, right: FittedLine, low: float, high: float) -> float | None:
    """Return where the lines meet, held between the points they part; None without a bend."""
    if left.slope <= 0 or right.slope > _BENT * left.slope:
        return None
    meeting = (right.at - left.at) / (left.slope - right.slope)
    return min(max(meeting, low), high)


def effective_parallelism(points: Sequence[Point], knee: float | None) -> float | None:
    """Return the throughput at the knee over that of one stream.

    A knee between two loads that were tried has a throughput between theirs. An unbatched server
    stays near 1. None without a knee or without the load 1.
    """
    ordered = sorted(points)
    single = next((y for x, y in ordered if x == 1), None)
    if knee is None or not single:
        return None
    (x0, y0), (x1, y1) = next(
        (two for two in pairwise(ordered) if two[0][0] <= knee <= two[1][0]), ordered[-2:]
    )
    return (y0 + (y1 - y0) * (knee - x0) / (x1 - x0)) / single
