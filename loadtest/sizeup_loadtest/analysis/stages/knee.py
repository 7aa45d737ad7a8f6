"""The knee of throughput over load: a least-squares fit of two straight lines. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from statistics import linear_regression

_MAX_SLOPE_RATIO = 0.5
"""Beyond a knee, throughput grows at most this fraction as fast as before it."""

Point = tuple[float, float]
"""Load and throughput."""


@dataclass(frozen=True, slots=True)
class FittedLine:
    """y = intercept + slope * x."""

    intercept: float
    slope: float
    error: float
    """Sum of squared residuals."""


def find(points: Sequence[Point]) -> float | None:
    """Return the load at which the two best-fitting lines, each through two points or more, meet.

    None for fewer than four loads, or where the second line is not much flatter.
    """
    ordered = sorted(points)
    cuts = range(2, len(ordered) - 1)
    fits = [(fit(ordered[:cut]), fit(ordered[cut:]), cut) for cut in cuts]
    if not fits:
        return None
    left, right, cut = min(fits, key=lambda lines: lines[0].error + lines[1].error)
    return _intersection(left, right, ordered[cut - 1][0], ordered[cut][0])


def fit(points: Sequence[Point]) -> FittedLine:
    """Fit a line by least squares to two points or more with different loads."""
    slope, intercept = linear_regression([x for x, _ in points], [y for _, y in points])
    error = fsum((y - intercept - slope * x) ** 2 for x, y in points)
    return FittedLine(intercept, slope, error)


def _intersection(left: FittedLine, right: FittedLine, low: float, high: float) -> float | None:
    """Return where the lines meet, clamped between the points they separate; None: no knee."""
    if left.slope <= 0 or right.slope > _MAX_SLOPE_RATIO * left.slope:
        return None
    x = (right.intercept - left.intercept) / (left.slope - right.slope)
    return min(max(x, low), high)


def effective_parallelism(points: Sequence[Point], knee: float | None) -> float | None:
    """Return throughput at the knee, interpolated between tried loads, over that of one stream.

    Near 1 for a server without batching. None without a knee or without load 1.
    """
    ordered = sorted(points)
    single = next((y for x, y in ordered if x == 1), None)
    if knee is None or not single:
        return None
    (x0, y0), (x1, y1) = next(
        (pair for pair in pairwise(ordered) if pair[0][0] <= knee <= pair[1][0]), ordered[-2:]
    )
    return (y0 + (y1 - y0) * (knee - x0) / (x1 - x0)) / single
