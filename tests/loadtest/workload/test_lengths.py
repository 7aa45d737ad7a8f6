from random import Random
from statistics import fmean, stdev

import pytest
from pydantic import ValidationError

from sizeup_loadtest.config.workload import LengthDistribution
from sizeup_loadtest.workload import lengths

NORMAL = LengthDistribution(mean=200, stdev=50)
LOGNORMAL = LengthDistribution(distribution="lognormal", mean=200, stdev=100)
UNIFORM = LengthDistribution(distribution="uniform", min=50, max=350)


@pytest.mark.parametrize(
    ("drawn", "spread"), [(NORMAL, 50), (LOGNORMAL, 100), (UNIFORM, 300 / 12**0.5)]
)
def test_mean_and_spread_are_those_of_the_distribution(
    drawn: LengthDistribution, spread: float
) -> None:
    random = Random(7)
    values = [lengths.draw(drawn, random) for _ in range(20_000)]
    assert fmean(values) == pytest.approx(200, rel=0.02)
    assert stdev(values) == pytest.approx(spread, rel=0.03)
    assert lengths.typical(drawn) == 200


def test_lengths_stay_between_min_and_max() -> None:
    narrow = LengthDistribution(mean=100, stdev=500, min=10, max=150)
    random = Random(7)
    assert {lengths.draw(narrow, random) for _ in range(1000)} >= {10, 150}
    assert all(10 <= lengths.draw(narrow, random) <= 150 for _ in range(1000))


def test_a_number_is_itself() -> None:
    assert (lengths.draw(9, Random(1)), lengths.typical(9)) == (9, 9)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"stdev": 3},
        {"mean": 5, "min": 6},
        {"mean": 5, "max": 4},
        {"distribution": "uniform"},
        {"distribution": "uniform", "min": 9, "max": 8},
        {"distribution": "uniform", "mean": 5, "max": 8},
        {"mean": 0},
        {"mean": 5, "max": 10**9},
    ],
)
def test_an_incomplete_distribution_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LengthDistribution.model_validate(keys)
