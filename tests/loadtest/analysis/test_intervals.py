import math
from random import Random

import pytest

from sizeup_loadtest.analysis import intervals as st
from sizeup_loadtest.data.results import Estimate


def test_wilson_is_the_published_interval() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20
    assert st.wilson(81, 263).low == pytest.approx(0.2553, abs=5e-5)
    assert st.wilson(81, 263).high == pytest.approx(0.3662, abs=5e-5)
    none = st.wilson(0, 20)
    assert none.low == 0
    assert none.high == pytest.approx(0.1611, abs=5e-5)


def test_wilson_without_trials_is_an_error() -> None:
    with pytest.raises(ValueError, match="n > 0"):
        st.wilson(0, 0)


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_a_percentile_needs_enough_requests(q: float, n: int) -> None:
    values = [float(i) for i in range(n)]
    point = f"p{q * 100:g}"
    enough, few = st.distribution([values]), st.distribution([values[1:]])
    assert getattr(enough, point) == pytest.approx(q * (n - 1))
    assert getattr(few, point) is None


def test_means_get_an_interval_from_five_blocks_on() -> None:
    blocks = [[float(b), float(b) + 1] for b in range(5)]
    estimate = st.mean_estimate(blocks)
    assert estimate is not None
    assert estimate.value == 2.5
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < 2.5 < estimate.high
    assert st.mean_estimate(blocks[:4]) == Estimate(value=2.0)


def test_no_values_have_no_mean() -> None:
    assert st.mean_estimate([[]]) is None
    assert st.distribution([]) is None


def holds(estimate: Estimate | None, truth: float) -> bool:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


RUNS = 800
"""The standard error of a coverage of 0.95 is then 0.008."""


@pytest.mark.parametrize("blocks", [5, 12])
@pytest.mark.parametrize("effect", [0.03, 0.1, 0.3])
def test_coverage_of_intervals_of_means(effect: float, blocks: int) -> None:
    """Blocks differ more than the values in them: an interval over values would be too narrow."""
    rng, held = Random(3), 0
    for _ in range(RUNS):
        means = [10 * math.exp(rng.gauss(0, effect) - effect**2 / 2) for _ in range(blocks)]
        values = [[mean * rng.uniform(0.98, 1.02) for _ in range(6)] for mean in means]
        held += holds(st.mean_estimate(values), 10)
    assert 0.93 <= held / RUNS <= 0.975


@pytest.mark.parametrize("effect", [0.03, 0.1, 0.2])
def test_coverage_of_intervals_of_rates(effect: float) -> None:
    rng, held = Random(4), 0
    for _ in range(RUNS):
        seconds = [rng.uniform(5, 15) for _ in range(5)]
        sums = [(7 * s * math.exp(rng.gauss(0, effect) - effect**2 / 2), s) for s in seconds]
        held += holds(st.ratio_of_sums(sums), 7)
    assert 0.93 <= held / RUNS <= 0.975


def test_coverage_of_intervals_of_ratios() -> None:
    rng, held = Random(5), 0
    for _ in range(RUNS):
        blocks = []
        for effect in [rng.gauss(0, 0.1) for _ in range(5)]:
            blocks.append([1.5 * math.exp(effect + rng.gauss(0, 0.05)) for _ in range(6)])
        held += holds(st.geometric_mean(blocks), 1.5)
    assert 0.93 <= held / RUNS <= 0.975


@pytest.mark.parametrize(
    ("freedom", "t"), [(4, 2.776), (5, 2.571), (9, 2.262), (19, 2.093), (99, 1.984)]
)
def test_published_student_quantiles(freedom: int, t: float) -> None:
    assert st.student_quantile(freedom) == pytest.approx(t, abs=1e-3)


@pytest.mark.parametrize(
    ("freedom", "t", "p"),
    [
        (4, 0, 0.5),
        (4, 2.1318, 0.05),
        (4, 4.6041, 0.005),
        (4, -2.7764, 0.975),
        (1, 12.7062, 0.025),
        (2, 4.3027, 0.025),
        (3, 3.1824, 0.025),
        (5, 2.0150, 0.05),
        (9, 3.2498, 0.005),
        (10, 2.2281, 0.025),
        (19, 2.0930, 0.025),
        (100, 1.9840, 0.025),
    ],
)
def test_published_student_tails(freedom: int, t: float, p: float) -> None:
    assert st.student_tail(t, freedom) == pytest.approx(p, abs=1e-5)


def test_constant_values_have_an_exact_interval() -> None:
    assert st.mean_estimate([[2.0]] * 5) == Estimate(value=2, low=2, high=2)
    assert st.mean_estimate([[0.0]] * 5) == Estimate(value=0, low=0, high=0)


def test_benjamini_hochberg_is_the_published_example() -> None:
    """The example of 1995: of fifteen p-values the four smallest are rejected at 0.05."""
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
               0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    assert st.benjamini_hochberg(p_values, 0.05) == {0, 1, 2, 3}
    assert st.benjamini_hochberg(p_values[::-1], 0.05) == {11, 12, 13, 14}
    assert st.benjamini_hochberg([0.2], 0.05) == st.benjamini_hochberg([], 0.05) == frozenset()


def test_ratios_are_weighted_by_their_denominators() -> None:
    estimate = st.ratio_of_sums([(10, 1), (10, 9), (5, 0)])
    assert estimate == Estimate(value=2.0)


def test_doubling_and_halving_cancel() -> None:
    estimate = st.geometric_mean([[2.0], [0.5]])
    assert estimate is not None
    assert estimate.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("a", "b", "p"), [(0, 0, 1.0), (0, 6, 0.03125), (3, 3, 1.0), (1, 9, 0.0215)]
)
def test_mcnemar_is_the_binomial_tail(a: int, b: int, p: float) -> None:
    assert st.mcnemar(a, b) == pytest.approx(p, abs=5e-5)
    assert st.mcnemar(b, a) == st.mcnemar(a, b)


def test_growth_is_distinguished_from_noise() -> None:
    rng = Random(5)
    noise = [rng.gauss(1, 0.2) for _ in range(60)]
    assert not st.is_growing(noise)
    assert st.is_growing([value + i / 50 for i, value in enumerate(noise)])
    assert not st.is_growing([1.0, 2.0, 3.0])


def test_a_distribution_has_minimum_and_maximum() -> None:
    found = st.distribution([[0.1 * b, 0.2] for b in range(6)])
    assert found is not None
    assert (found.n, found.low, found.high, found.p99) == (12, 0.0, 0.5, None)
    assert found.p50 is not None
    assert math.isclose(found.mean.value, 0.225)


def test_percentiles_need_independent_requests() -> None:
    """Six requests of 100 values each: all of a request alike, or every value by itself."""
    alike = [[float(b)] * 100 for b in range(6)]
    mixed = [[float(i) for i in range(b, 100 + b)] for b in range(6)]
    for requests, p99 in ((alike, None), (mixed, pytest.approx(101.01, abs=1))):
        found = st.distribution(requests, requests)
        assert found is not None
        assert (found.n, found.p99) == (6, p99)
        assert found.p50 is not None


def test_the_interval_of_a_proportion_is_over_blocks() -> None:
    """Five blocks that are all good or all bad are worth five requests, not 500."""
    apart = st.clustered_proportion([(100, 100), (0, 100), (100, 100), (0, 100), (100, 100)])
    mixed = st.clustered_proportion([(60, 100)] * 5)
    assert (apart.value, mixed.value) == (0.6, 0.6)
    assert apart.high - apart.low > 0.7
    assert mixed.high - mixed.low < 0.15
    assert st.clustered_proportion([(100, 100), (0, 100)]) == st.wilson(100, 200)
