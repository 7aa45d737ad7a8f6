"""Fits of two coefficients."""

import random

import pytest

from sizeup_inference.engine.scheduling.least_squares import LeastSquares, Pair


def fitted(samples: list[tuple[Pair, float]]) -> Pair:
    fit = LeastSquares()
    for x, y in samples:
        fit.add(x, y)
    assert fit.count == len(samples)
    return fit.coefficients


def test_both_coefficients_are_found_in_noise() -> None:
    rng = random.Random(1)
    points = [(rng.uniform(1, 100), rng.uniform(1, 1e6)) for _ in range(200)]
    a, b = fitted([(x, (2 * x[0] + 3e-4 * x[1]) * rng.gauss(1, 0.05)) for x in points])
    assert a == pytest.approx(2, rel=0.3)
    assert b == pytest.approx(3e-4, rel=0.1)


def test_a_feature_that_no_sample_determines_has_no_coefficient() -> None:
    a, b = fitted([((10.0, 500.0), 20.0)] * 5)
    assert a == pytest.approx(2)
    assert b == 0
    assert fitted([((0.0, 0.0), 0.0)]) == (0.0, 0.0)


def test_coefficients_are_not_negative() -> None:
    rising = [((10.0, x), x * x) for x in (1.0, 2.0, 3.0, 4.0)]
    falling = [((10.0, x), 100 - x) for x in (1.0, 20.0, 40.0, 60.0)]
    assert fitted(rising)[0] == 0
    assert fitted(falling)[1] == 0
    assert min(*fitted(rising), *fitted(falling)) >= 0


def test_old_samples_are_forgotten() -> None:
    a, _ = fitted([((1.0, 0.0), 1.0)] * 100 + [((1.0, 0.0), 5.0)] * 60)
    assert a == pytest.approx(5, rel=0.05)
