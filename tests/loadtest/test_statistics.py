import math
from random import Random

import pytest

from sizeup_loadtest import statistics as st
from sizeup_loadtest.results import Estimate


def test_wilson_is_the_published_interval() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20
    assert st.wilson(81, 263).low == pytest.approx(0.2553, abs=5e-5)
    assert st.wilson(81, 263).high == pytest.approx(0.3662, abs=5e-5)
    none = st.wilson(0, 20)
    assert none.low == 0
    assert none.high == pytest.approx(0.1611, abs=5e-5)


def test_wilson_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        st.wilson(0, 0)


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_a_percentile_is_given_only_where_n_allows(q: float, n: int) -> None:
    values = [float(i) for i in range(n)]
    assert st.percentile(values, q) == pytest.approx(q * (n - 1))
    assert st.percentile(values[:-1], q) is None


def test_quantiles_interpolate() -> None:
    assert st.quantile([1.0, 2.0, 4.0], 0.75) == 3.0
    assert st.quantile([5.0], 0.99) == 5.0


def test_means_get_an_interval_from_five_blocks_on() -> None:
    blocks = {b: [float(b), float(b) + 1] for b in range(5)}
    estimate = st.mean_of(blocks, Random(1))
    assert estimate is not None
    assert estimate.value == 2.5
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < 2.5 < estimate.high
    del blocks[4]
    assert st.mean_of(blocks, Random(1)) == Estimate(value=2.0)


def test_nothing_has_no_mean() -> None:
    assert st.mean_of({0: []}, Random(1)) is None
    assert st.distribution({}, Random(1)) is None


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Twelve blocks whose means differ: an interval over single values would be far too narrow."""
    rng, covered, runs = Random(3), 0, 150
    for _ in range(runs):
        blocks = {}
        for block in range(12):
            mood = rng.gauss(10, 1)
            blocks[block] = [rng.gauss(mood, 0.1) for _ in range(10)]
        estimate = st.mean_of(blocks, rng)
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 10 <= estimate.high
    assert 0.85 <= covered / runs <= 0.99


def test_ratios_weigh_by_their_denominators() -> None:
    estimate = st.ratio_of_sums({0: (10, 1), 1: (10, 9), 2: (5, 0)}, Random(1))
    assert estimate == Estimate(value=2.0)


def test_doubling_and_halving_cancel() -> None:
    estimate = st.geometric_mean_of({0: [2.0], 1: [0.5]}, Random(1))
    assert estimate is not None
    assert estimate.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("a", "b", "p"), [(0, 0, 1.0), (0, 6, 0.03125), (3, 3, 1.0), (1, 9, 0.0215)]
)
def test_mcnemar_is_the_binomial_tail(a: int, b: int, p: float) -> None:
    assert st.mcnemar(a, b) == pytest.approx(p, abs=5e-5)
    assert st.mcnemar(b, a) == st.mcnemar(a, b)


def test_growth_is_told_from_noise() -> None:
    rng = Random(5)
    noise = [rng.gauss(1, 0.2) for _ in range(60)]
    assert not st.slope_is_positive(noise)
    assert st.slope_is_positive([value + i / 50 for i, value in enumerate(noise)])
    assert not st.slope_is_positive([1.0, 2.0, 3.0])


def test_a_distribution_knows_its_ends() -> None:
    found = st.distribution({b: [0.1 * b, 0.2] for b in range(6)}, Random(2))
    assert found is not None
    assert (found.n, found.low, found.high, found.p99) == (12, 0.0, 0.5, None)
    assert math.isclose(found.mean.value, 0.225)
