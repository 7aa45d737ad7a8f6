"""Percentiles, intervals and tests. Pure.

Formulas: Wilson score interval (Wilson 1927); bootstrap over blocks (Efron), because requests of
one block share the machine's mood; exact McNemar (binomial, two-sided); Benjamini and Hochberg
(1995).

What the bootstrap gives is the standard error; the interval is Student's t around it (Hesterberg
2015). Five blocks have 126 different draws, too few for percentiles: those of their means hold the
truth in 85 of 100 cases where 95 are promised.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

from sizeup_loadtest.data.results import Distribution, Estimate, Proportion

Z95 = 1.959964
_RESAMPLES = 200
"""Efron's number for a standard error: it is then known to a twentieth of itself."""
MIN_BLOCKS = 5
"""With fewer, an interval would be too wide to decide anything: t is 4.3 of three blocks."""


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


def percentile(ordered: Sequence[float], q: float, n: int) -> float | None:
    """Return a quantile, or None where it would need more than n independent values."""
    return quantile(ordered, q) if n >= smallest_n(q) else None


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean, exactly summed."""
    return math.fsum(values) / len(values)


Parts = Sequence[tuple[float, float]]
"""A block's numerator and denominator each."""


def ratio_of_sums(blocks: Mapping[int, tuple[float, float]]) -> Estimate | None:
    """Estimate the blocks' summed numerators over their summed denominators, none negative.

    Every average is of this form: tokens over seconds, or times over how many. Its interval is
    on a logarithmic scale, so that it never reaches below 0. None where the denominators
    sum to 0; no interval below MIN_BLOCKS.
    """
    parts = _parts(blocks)
    if not parts:
        return None
    value = _ratio(parts)
    if len(parts) < MIN_BLOCKS:
        return Estimate(value=value)
    reach = _reach(parts) / value if value > 0 else 0.0
    return Estimate(value=value, low=value * math.exp(-reach), high=value * math.exp(reach))


def _parts(blocks: Mapping[int, tuple[float, float]]) -> Parts:
    return [blocks[block] for block in sorted(blocks) if blocks[block][1] > 0]


def _ratio(parts: Parts) -> float:
    return math.fsum(part[0] for part in parts) / math.fsum(part[1] for part in parts)


def _reach(parts: Parts) -> float:
    """Return half the width of a ratio's 95 % interval; the same for the same blocks."""
    n, rng = len(parts), Random(0)
    drawn = [_ratio(rng.choices(parts, k=n)) for _ in range(_RESAMPLES)]
    centre = mean(drawn)
    error = math.sqrt(mean([(value - centre) ** 2 for value in drawn]))
    # Drawn with replacement, blocks spread less than they do: by (n - 1) / n.
    return student_quantile(n - 1) * error * math.sqrt(n / (n - 1))


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t for 4 degrees of freedom or more.

    Expanded around the normal quantile (Fisher and Cornish 1960): to 0.001.
    """
    z, d = Z95, freedom
    terms = (
        (z**3 + z) / (4 * d),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * d**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * d**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * d**4),
    )
    return z + math.fsum(terms)


def mean_estimate(blocks: Mapping[int, Sequence[float]]) -> Estimate | None:
    """Estimate the mean of values given by block, none negative."""
    return ratio_of_sums(_sums(blocks))


def _sums(blocks: Mapping[int, Sequence[float]]) -> dict[int, tuple[float, float]]:
    return {block: (math.fsum(values), float(len(values))) for block, values in blocks.items()}


def geometric_mean(blocks: Mapping[int, Sequence[float]]) -> Estimate | None:
    """Estimate the mean of positive ratios, in which doubling and halving cancel."""
    parts = _parts(_sums({b: [math.log(ratio) for ratio in v] for b, v in blocks.items()}))
    if not parts:
        return None
    value = _ratio(parts)
    if len(parts) < MIN_BLOCKS:
        return Estimate(value=math.exp(value))
    reach = _reach(parts)
    low, high = math.exp(value - reach), math.exp(value + reach)
    return Estimate(value=math.exp(value), low=low, high=high)


def distribution(
    blocks: Mapping[int, Sequence[float]], independent: int | None = None
) -> Distribution | None:
    """Describe times given by block; None where there are none.

    `independent` is how many requests they are of, where a request has several: that is what
    decides which percentiles are known.
    """
    ordered = sorted(value for group in blocks.values() for value in group)
    average = mean_estimate(blocks)
    if average is None:
        return None
    n = len(ordered) if independent is None else independent
    return Distribution(
        n=n,
        mean=average,
        p50=percentile(ordered, 0.5, n),
        p90=percentile(ordered, 0.9, n),
        p95=percentile(ordered, 0.95, n),
        p99=percentile(ordered, 0.99, n),
        low=ordered[0],
        high=ordered[-1],
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of two graders' disagreements; 1 where there are none."""
    n, k = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


BATCHES = 8
"""Of which a trend is judged. Waits of neighbours are alike, and so are lengths of a queue: a line
through single values takes one long wave for growth. Means over an eighth of a series are nearly
independent, and eight of them still show a server a third too slow."""


def is_growing(values: Sequence[float]) -> bool:
    """Tell whether values grow along their order: the 95 % bound of a slope is above 0.

    False for fewer than two values a batch.
    """
    if len(values) < 2 * BATCHES:
        return False
    ends = [len(values) * i // BATCHES for i in range(BATCHES + 1)]
    means = [mean(values[a:b]) for a, b in pairwise(ends)]
    centre, average = (BATCHES - 1) / 2, mean(means)
    spread = math.fsum((i - centre) ** 2 for i in range(BATCHES))
    slope = math.fsum((i - centre) * (m - average) for i, m in enumerate(means)) / spread
    residual = math.fsum((m - average - slope * (i - centre)) ** 2 for i, m in enumerate(means))
    error = math.sqrt(residual / (BATCHES - 2) / spread)
    return slope - student_quantile(BATCHES - 2) * error > 0


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that Student's t of whole degrees of freedom exceeds t.

    Its finite series (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
    """
    angle = math.atan2(t, math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    terms = []
    for k in range(odd + 2, freedom + 1, 2):
        terms.append(term)
        term *= math.cos(angle) ** 2 * (k - 1) / k
    inside = math.sin(angle) * math.fsum(terms)
    return 0.5 - ((angle + inside) / math.pi if odd else inside / 2)


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal value exceeds z."""
    return math.erfc(z / math.sqrt(2)) / 2


def benjamini_hochberg(chances: Sequence[float], share: float) -> frozenset[int]:
    """Return which of many tests may be believed, by their place (Benjamini and Hochberg 1995).

    Where nothing is there to be found, anything is found with a probability of `share` at most,
    however many tests there are, if they are independent or tend the same way.
    """
    order = sorted(range(len(chances)), key=chances.__getitem__)
    rank = max(
        (i for i, at in enumerate(order, 1) if chances[at] <= share * i / len(order)), default=0
    )
    return frozenset(order[:rank])
