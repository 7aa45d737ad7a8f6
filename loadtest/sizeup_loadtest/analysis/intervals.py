"""Percentiles, confidence intervals and tests. Pure.

Sources: Wilson score interval (Wilson 1927); bootstrap over blocks (Efron), because requests of one
block share the state of the machine; exact McNemar test (binomial, two-sided); Benjamini-Hochberg
procedure (1995).

The bootstrap gives the standard error; the interval is Student's t around it (Hesterberg 2015).
Five blocks have 126 distinct resamples, too few for a percentile bootstrap: its nominal 95 %
intervals of their means cover the true value in 85 of 100 cases.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from statistics import NormalDist, fmean, linear_regression, quantiles

from sizeup_loadtest.data.results import Distribution, Estimate, Proportion

Z95 = NormalDist().inv_cdf(0.975)
_RESAMPLES = 200
"""Enough for a standard error (Efron): its own relative error is then 5 %."""
MIN_BLOCKS = 5
"""Below it an interval is too wide to be useful: t is 4.3 with three blocks."""


def wilson(successes: int, n: int) -> Proportion:
    """Return a proportion with its 95 % interval; ValueError for n = 0."""
    if n == 0:
        raise ValueError("a proportion needs n > 0")
    low, high = _wilson_interval(successes / n, n)
    return Proportion(successes=successes, n=n, value=successes / n, low=low, high=high)


def _wilson_interval(p: float, n: float) -> tuple[float, float]:
    z2 = Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return 0.0 if p <= 0 else centre - half, 1.0 if p >= 1 else centre + half


def smallest_n(quantile: float) -> int:
    """Return the sample size that a distribution-free 95 % interval of a quantile needs.

    The maximum of n values is above the quantile with probability 1 - q**n, the minimum below it
    with 1 - (1 - q)**n; each side may miss in 2.5 % of cases. 72 for p95, 368 for p99.
    """
    rarer = max(quantile, 1 - quantile)
    return math.ceil(math.log(0.025) / math.log(rarer) - 1e-12)


def clustered_proportion(blocks: Sequence[tuple[int, int]]) -> Proportion:
    """Return a proportion with its interval, given successes and n of blocks.

    Requests of one part of an open loop wait in the same queue. From MIN_BLOCKS on the interval is
    that of the effective number of requests, with Student's t (Korn and Graubard 1998).
    """
    plain = wilson(sum(k for k, _ in blocks), sum(n for _, n in blocks))
    if len(blocks) < MIN_BLOCKS:
        return plain
    n = effective_n(blocks) * (Z95 / student_quantile(len(blocks) - 1)) ** 2
    if n >= plain.n:
        return plain
    low, high = _wilson_interval(plain.value, n)
    return plain.model_copy(update={"low": low, "high": high})


def effective_n(clusters: Sequence[tuple[int, int]]) -> float:
    """Return the independent values that estimate a fraction as well as these; at most all.

    Each cluster has its hits and its size (Kish 1965: the variance of a ratio over clusters).
    """
    hits, n = sum(k for k, _ in clusters), sum(m for _, m in clusters)
    p, count = hits / n, len(clusters)
    squares = math.fsum((k - p * m) ** 2 for k, m in clusters)
    if squares <= 0 or count < 2:
        return n
    return min(n, p * (1 - p) * n * n / squares * (count - 1) / count)


Parts = Sequence[tuple[float, float]]
"""Numerator and denominator of each block."""
Blocks = Sequence[Sequence[float]]
"""The values of each block."""


def ratio_of_sums(blocks: Parts) -> Estimate | None:
    """Estimate the sum of numerators over the sum of denominators, all non-negative.

    Every average has this form: tokens over seconds, or latencies over their number. The interval
    is on a logarithmic scale, so that it stays above 0. None where the denominators sum to 0; no
    interval below MIN_BLOCKS.
    """
    parts = [part for part in blocks if part[1] > 0]
    if not parts:
        return None
    value = _ratio(parts)
    if len(parts) < MIN_BLOCKS:
        return Estimate(value=value)
    half_width = _half_width(parts) / value if value > 0 else 0.0
    return Estimate(
        value=value, low=value * math.exp(-half_width), high=value * math.exp(half_width)
    )


def _ratio(parts: Parts) -> float:
    numerators, denominators = zip(*parts, strict=True)
    return math.fsum(numerators) / math.fsum(denominators)


def _half_width(parts: Parts) -> float:
    """Return half the width of a ratio's 95 % interval; deterministic."""
    n = len(parts)
    drawn = Random(0).choices(parts, k=n * _RESAMPLES)
    resampled = [_ratio(drawn[i : i + n]) for i in range(0, len(drawn), n)]
    mean = fmean(resampled)
    error = math.sqrt(fmean((value - mean) ** 2 for value in resampled))
    # Resampling with replacement underestimates the variance by (n - 1) / n.
    return student_quantile(n - 1) * error * math.sqrt(n / (n - 1))


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t for 4 degrees of freedom or more.

    Cornish-Fisher expansion around the normal quantile (Fisher and Cornish 1960): to 0.001.
    """
    z, d = Z95, freedom
    terms = (
        (z**3 + z) / (4 * d),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * d**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * d**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * d**4),
    )
    return z + math.fsum(terms)


def mean_estimate(blocks: Blocks) -> Estimate | None:
    """Estimate the mean of non-negative values."""
    return ratio_of_sums(_sums(blocks))


def _sums(blocks: Blocks) -> Parts:
    return [(math.fsum(values), float(len(values))) for values in blocks if values]


def geometric_mean(blocks: Blocks) -> Estimate | None:
    """Estimate the geometric mean of positive ratios."""
    parts = _sums([[math.log(ratio) for ratio in ratios] for ratios in blocks])
    if not parts:
        return None
    mean = _ratio(parts)
    if len(parts) < MIN_BLOCKS:
        return Estimate(value=math.exp(mean))
    half_width = _half_width(parts)
    logs = Estimate(value=mean, low=mean - half_width, high=mean + half_width)
    return logs.map(math.exp)


def distribution(
    blocks: Blocks, requests: Sequence[Sequence[float]] | None = None
) -> Distribution | None:
    """Summarise values; None without any.

    `requests` are the values by request, where one has several: they are correlated, and a
    percentile is reported where enough of them are independent (`effective_n`, at least the number
    of requests). Percentiles are interpolated linearly (type 7).
    """
    ordered = sorted(value for values in blocks for value in values)
    mean = mean_estimate(blocks)
    if mean is None:
        return None
    n = len(ordered) if requests is None else len(requests)
    cuts = quantiles(ordered, n=100, method="inclusive") if len(ordered) > 1 else ordered * 99

    def percentile(point: int) -> float | None:
        least, cut = smallest_n(point / 100), cuts[point - 1]
        if n < least and (requests is None or _independent_from(cut, requests) < least):
            return None
        return cut

    return Distribution(
        n=n,
        mean=mean,
        **{f"p{point}": percentile(point) for point in (50, 90, 95, 99)},
        low=ordered[0],
        high=ordered[-1],
    )


def _independent_from(cut: float, requests: Sequence[Sequence[float]]) -> float:
    return effective_n([(sum(v >= cut for v in values), len(values)) for values in requests])


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of the discordant pairs; 1 without any."""
    n, k = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))


BATCHES = 8
"""Batch means for a trend test. Neighbouring queue lengths and waiting times are autocorrelated, so
a line through single values takes one long wave for growth. Means over an eighth of a series are
nearly independent, and eight of them still detect a server that is a third too slow."""


def is_growing(values: Sequence[float]) -> bool:
    """Test whether values increase along their order: the 95 % lower bound of the slope is > 0.

    False for fewer than two values per batch.
    """
    if len(values) < 2 * BATCHES:
        return False
    ends = [len(values) * i // BATCHES for i in range(BATCHES + 1)]
    means = [fmean(values[a:b]) for a, b in pairwise(ends)]
    slope, intercept = linear_regression(range(BATCHES), means)
    residual = math.fsum((m - intercept - slope * i) ** 2 for i, m in enumerate(means))
    spread = BATCHES * (BATCHES**2 - 1) / 12  # sum of squared deviations of 0, 1, ... BATCHES - 1
    error = math.sqrt(residual / (BATCHES - 2) / spread)
    return slope - student_quantile(BATCHES - 2) * error > 0


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that Student's t exceeds t, for integer degrees of freedom.

    Finite series (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
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
    """Return the probability that a standard normal variable exceeds z."""
    return math.erfc(z / math.sqrt(2)) / 2


def benjamini_hochberg(p_values: Sequence[float], rate: float) -> frozenset[int]:
    """Return the indices of the hypotheses rejected at a false discovery rate."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rank = max(
        (i for i, at in enumerate(order, 1) if p_values[at] <= rate * i / len(order)), default=0
    )
    return frozenset(order[:rank])
