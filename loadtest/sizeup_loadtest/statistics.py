"""Percentiles, intervals and paired tests. Pure; a generator of random numbers is an argument.

Formulas: Wilson score interval (Wilson 1927); percentile bootstrap over blocks (Efron), because
requests of one block share the machine's mood; exact McNemar (binomial, two-sided).
"""

import math
from collections.abc import Mapping, Sequence
from random import Random

from sizeup_loadtest.results import Distribution, Estimate, Proportion

Z95 = 1.959964
_RESAMPLES = 2000
"""The interval's ends then vary by about a twentieth of its width from seed to seed."""
MIN_BLOCKS = 5
"""With fewer, the few distinct draws there are cannot place the ends of a 95 % interval."""


def wilson(successes: int, n: int) -> Proportion:
    """Return a share with its 95 % interval; raise ValueError for n = 0."""
    if n == 0:
        raise ValueError("a share of nothing")
    p, z2 = successes / n, Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Proportion(successes=successes, n=n, value=p, low=low, high=high)


def smallest_n(quantile: float) -> int:
    """Return how many values a quantile's distribution-free 95 % interval needs.

    The largest of n values lies above the quantile with probability 1 - q**n, the smallest below
    it with 1 - (1 - q)**n; each side may miss in 2.5 % of all cases. 72 for p95, 368 for p99.
    """
    rarer = max(quantile, 1 - quantile)
    return math.ceil(math.log(0.025) / math.log(rarer) - 1e-12)


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return a quantile of sorted values, interpolated linearly (type 7)."""
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def percentile(ordered: Sequence[float], q: float) -> float | None:
    """Return a quantile, or None where there are too few values to know it."""
    return quantile(ordered, q) if len(ordered) >= smallest_n(q) else None


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean, exactly summed."""
    return math.fsum(values) / len(values)


def ratio_of_sums(blocks: Mapping[int, tuple[float, float]], rng: Random) -> Estimate | None:
    """Estimate the blocks' summed numerators over their summed denominators.

    Every average is of this form: tokens over seconds, or values over how many. Whole blocks are
    drawn with replacement. None where the denominators sum to 0; no interval below MIN_BLOCKS.
    """
    parts = [blocks[block] for block in sorted(blocks) if blocks[block][1] > 0]
    if not parts:
        return None
    value = _ratio(parts)
    if len(parts) < MIN_BLOCKS:
        return Estimate(value=value)
    drawn = sorted(_ratio(rng.choices(parts, k=len(parts))) for _ in range(_RESAMPLES))
    return Estimate(value=value, low=quantile(drawn, 0.025), high=quantile(drawn, 0.975))


def _ratio(parts: Sequence[tuple[float, float]]) -> float:
    return math.fsum(part[0] for part in parts) / math.fsum(part[1] for part in parts)


def mean_of(blocks: Mapping[int, Sequence[float]], rng: Random) -> Estimate | None:
    """Estimate the mean of values given by block."""
    return ratio_of_sums({b: (math.fsum(v), float(len(v))) for b, v in blocks.items()}, rng)


def geometric_mean_of(blocks: Mapping[int, Sequence[float]], rng: Random) -> Estimate | None:
    """Estimate the mean of positive ratios, in which doubling and halving cancel."""
    logs = mean_of({b: [math.log(ratio) for ratio in v] for b, v in blocks.items()}, rng)
    if logs is None:
        return None
    ends = (None if end is None else math.exp(end) for end in (logs.low, logs.high))
    low, high = ends
    return Estimate(value=math.exp(logs.value), low=low, high=high)


def distribution(blocks: Mapping[int, Sequence[float]], rng: Random) -> Distribution | None:
    """Describe times given by block; None where there are none."""
    ordered = sorted(value for group in blocks.values() for value in group)
    average = mean_of(blocks, rng)
    if average is None:
        return None
    return Distribution(
        n=len(ordered),
        mean=average,
        p50=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99),
        low=ordered[0],
        high=ordered[-1],
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of two graders' disagreements; 1 where there are none."""
    n, k = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


def slope_is_positive(values: Sequence[float]) -> bool:
    """Tell whether values grow along their order: the slope's 95 % bound is above 0."""
    n = len(values)
    if n < 10:  # with fewer, the normal bound used below is too narrow
        return False
    centre, average = (n - 1) / 2, mean(values)
    spread = math.fsum((i - centre) ** 2 for i in range(n))
    slope = math.fsum((i - centre) * (v - average) for i, v in enumerate(values)) / spread
    residual = math.fsum((v - average - slope * (i - centre)) ** 2 for i, v in enumerate(values))
    error = math.sqrt(residual / (n - 2) / spread)
    return slope - Z95 * error > 0
