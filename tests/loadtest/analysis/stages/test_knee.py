from random import Random

import pytest

from sizeup_loadtest.analysis.stages import knee


def throughput(load: float, parallel: float) -> float:
    return 100 * min(load, parallel)


@pytest.mark.parametrize("parallel", [2, 4, 6.5])
def test_the_knee_is_where_throughput_stops_growing(parallel: float) -> None:
    points = [(x, throughput(x, parallel)) for x in (1, 2, 4, 5, 6, 8, 16, 32)]
    assert knee.find(points) == pytest.approx(parallel)
    assert knee.find(points[::-1]) == pytest.approx(parallel)


def test_noise_moves_the_knee_little() -> None:
    rng = Random(2)
    points = [(x, throughput(x, 4) * rng.gauss(1, 0.02)) for x in (1, 2, 3, 4, 5, 6, 8, 16)]
    assert knee.find(points) == pytest.approx(4, abs=0.5)


def test_a_straight_line_has_no_knee() -> None:
    assert knee.find([(x, 100.0 * x) for x in (1, 2, 4, 8, 16)]) is None
    assert knee.find([(x, 100.0) for x in (1, 2, 4, 8, 16)]) is None


def test_three_loads_are_too_few() -> None:
    assert knee.find([(1, 1), (2, 2), (4, 2)]) is None


def test_effective_parallelism_is_what_batching_brings() -> None:
    points = [(x, throughput(x, 4)) for x in (1.0, 2.0, 4.0, 8.0, 16.0)]
    assert knee.effective_parallelism(points, 4) == pytest.approx(4)
    assert knee.effective_parallelism(points, 3.5) == pytest.approx(3.5)
    assert knee.effective_parallelism(points, 16) == pytest.approx(4)
    assert knee.effective_parallelism(points, None) is None
    assert knee.effective_parallelism(points[1:], 4) is None
