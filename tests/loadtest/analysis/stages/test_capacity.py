from dataclasses import replace
from heapq import heapreplace
from random import Random

import pytest

from loadtest.recording import failed, record
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import capacity
from sizeup_loadtest.analysis.stages.capacity import Bounds
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import CapacityPoint

CLOSED = Bounds("closed", 0.9, 64)
OPEN = Bounds("open", 0.9, 64)


def point(level: float, good: int = 100, n: int = 100, saturated: bool = False) -> CapacityPoint:
    return CapacityPoint(
        level=level,
        attainment=intervals.wilson(good, n),
        out_tok_s=level,
        ttft_p50=None,
        tpot_p50=None,
        saturated=saturated,
    )


def path(bounds: Bounds, carries: float) -> list[float]:
    """Search a server that meets the SLO up to a load."""
    points: list[CapacityPoint] = []
    while (level := capacity.next_level(points, bounds)) is not None:
        points.append(point(level, 100 if level <= carries else 50))
        assert len(points) < 40
    return [p.level for p in points]


@pytest.mark.parametrize(
    ("carries", "tried"),
    [
        (4, [1, 2, 4, 8, 6, 5]),
        (7, [1, 2, 4, 8, 6, 7]),
        (1, [1, 2]),
        (0, [1]),
        (43, [1, 2, 4, 8, 16, 32, 64, 48, 40, 44]),  # 44 is within a tenth of 40
        (100, [1, 2, 4, 8, 16, 32, 64]),
    ],
)
def test_a_closed_loop_doubles_then_halves_the_gap(carries: float, tried: list[float]) -> None:
    assert path(CLOSED, carries) == tried


@pytest.mark.parametrize("carries", [0.1, 0.7, 3.3, 20, 63])
def test_an_open_loop_ends_within_its_resolution(carries: float) -> None:
    found = max(level for level in path(OPEN, carries) if level <= carries)
    assert found <= carries <= found * (1 + capacity.RESOLUTION)


def test_an_open_loop_gives_up_on_a_server_without_capacity() -> None:
    assert min(path(OPEN, 0)) >= 1 / 64


def test_an_open_loop_begins_at_a_sustainable_rate() -> None:
    assert capacity.first_rate(None) == capacity.FIRST_RATE
    assert capacity.first_rate(0.2) == capacity.FIRST_RATE
    assert capacity.first_rate(8.0) == 1 / 8
    assert capacity.first_rate(3600.0) == capacity.SLOWEST_RATE
    assert path(replace(OPEN, first=1 / 8), 0.6)[:4] == [1 / 8, 1 / 4, 1 / 2, 1]


def test_a_limit_between_two_doublings_is_tried() -> None:
    assert path(replace(CLOSED, limit=10.5), 100)[-1] == 10
    assert path(replace(OPEN, limit=0.5), 100) == [0.5]


def test_a_saturated_load_fails() -> None:
    assert capacity.passes(point(4), 0.9)
    assert not capacity.passes(point(4, saturated=True), 0.9)
    assert capacity.max_load([point(1), point(2), point(4, saturated=True)], 0.9) == 2
    assert capacity.max_load([point(1, 10)], 0.9) is None


def test_an_insignificant_miss_is_retried() -> None:
    assert capacity.needs_retry(point(4, 17, 20), 0.9, tries=2)
    assert not capacity.needs_retry(point(4, 17, 20), 0.9, tries=capacity.TRIES)
    assert not capacity.needs_retry(point(4, 170, 200), 0.9, tries=1)
    assert not capacity.needs_retry(point(4, 19, 20), 0.9, tries=1)
    assert not capacity.needs_retry(point(4, 17, 20, saturated=True), 0.9, tries=1)


def test_saturation_needs_growing_queue_and_ttft() -> None:
    """At 10/s: a growing queue, no queue, and growing TTFT without a queue."""
    rng = Random(4)
    piled = [record(i, sent=100 * i, first=50 + 80 * i + rng.uniform(0, 9)) for i in range(40)]
    steady = [record(i, sent=100 * i, first=50 + rng.uniform(0, 9)) for i in range(40)]
    slower = [record(i, sent=1000 * i, first=50 + 9 * i + rng.uniform(0, 9)) for i in range(40)]
    assert capacity.saturated(piled)
    assert not capacity.saturated(steady)
    assert not capacity.saturated(slower)


def test_the_start_of_a_load_is_not_saturation() -> None:
    """Ten in flight before the first ends, each a little slower: no more than noise."""
    assert not capacity.saturated([record(i, sent=100 * i, first=900 + i) for i in range(20)])


def queue(rng: Random, places: int, load: float, requests: int = 100) -> list[Record]:
    """Simulate Poisson arrivals at a fraction `load` of the capacity of a server.

    A response takes one second on average, seldom more than two.
    """
    free, due, made = [0.0] * places, 0.0, []
    for index in range(requests):
        due += rng.expovariate(load * places)
        begun = max(due, min(free))
        latency = rng.gammavariate(4, 0.25)
        heapreplace(free, begun + latency)
        waited = (begun - due) * 1000
        made.append(record(index, sent=due * 1000, first=waited + 200 * latency, gap=80 * latency))
    return made


def piles_up(rng: Random, places: int, load: float) -> bool:
    """Judge a load as the search does: retried when it seems saturated."""
    return all(capacity.saturated(queue(rng, places, load)) for _ in range(2))


@pytest.mark.parametrize("places", [1, 4, 16])
def test_a_temporary_queue_is_not_saturation(places: int) -> None:
    rng = Random(places)
    assert sum(piles_up(rng, places, 0.7) for _ in range(200)) <= 10
    assert sum(capacity.saturated(queue(rng, places, 0.7)) for _ in range(200)) <= 30


@pytest.mark.parametrize("places", [1, 4, 16])
def test_a_growing_queue_is_saturation(places: int) -> None:
    rng = Random(places)
    assert sum(piles_up(rng, places, 1.3) for _ in range(100)) >= 75
    assert sum(piles_up(rng, places, 2.0) for _ in range(100)) >= 98


def test_a_load_that_fails_by_saturation_is_retried_once() -> None:
    assert capacity.needs_retry(point(4, saturated=True), 0.9, tries=1)
    assert not capacity.needs_retry(point(4, saturated=True), 0.9, tries=2)
    assert not capacity.needs_retry(point(4, 10, saturated=True), 0.9, tries=1)
    assert not capacity.needs_retry(point(4), 0.9, tries=1)


@pytest.mark.parametrize(
    ("growing", "saturated"), [([1], True), ([1, 0], False), ([1, 0, 1], True)]
)
def test_most_tries_decide_whether_a_load_is_saturated(growing: list[int], saturated: bool) -> None:
    records = [
        record(i, block=b, sent=100 * i, first=50 + 80 * i * grown + i % 3)
        for b, grown in enumerate(growing)
        for i in range(40)
    ]
    slo = Slo(ttft_seconds=99, tpot_seconds=99)
    assert capacity.point(records, "open", 10, slo).saturated is saturated


def test_late_timeouts_saturate_too() -> None:
    late = [record(i, sent=100 * i, first=50 + 80 * i) for i in range(40)]
    assert capacity.saturated([failed(r, Outcome.TIMEOUT) for r in late])


def test_max_load_has_the_interval_of_its_attainment() -> None:
    found = capacity.result([point(1), point(2, 91), point(4, 50)], CLOSED)
    assert (found.max_load, found.attainment) == (2, intervals.wilson(91, 100))
    assert capacity.result([point(1, 10)], CLOSED).attainment is None


def test_a_load_without_throughput_is_not_on_the_curve() -> None:
    points = [point(n) for n in (1, 2, 4, 8)]
    points[1] = points[1].model_copy(update={"out_tok_s": None})
    assert capacity.result(points, CLOSED).knee is None
