"""How many replicas a load requires, and when."""

import pytest

from sizeup_gateway.scaling.load_history import LoadHistory
from sizeup_wire.catalog import Autoscaling

STABILIZATION = 60.0
AUTOSCALING = Autoscaling(
    deployment="x",
    min_replicas=1,
    max_replicas=4,
    target_requests=8,
    stabilization_seconds=STABILIZATION,
)


class Seen:
    """A history with one record a second."""

    def __init__(self, autoscaling: Autoscaling = AUTOSCALING) -> None:
        self.autoscaling = autoscaling
        self.now = 1000.0
        self.history = LoadHistory(self.now)

    def see(self, load: float, seconds: int, held: int = 0) -> "Seen":
        for _ in range(seconds):
            self.now += 1.0
            self.history.record(self.now, load, held, self.autoscaling)
        return self

    def desired(self, current: int) -> int:
        return self.history.desired(self.now, current, self.autoscaling)


@pytest.mark.parametrize(
    ("load", "replicas"), [(0, 1), (1, 1), (8, 1), (8.1, 2), (9, 2), (24, 3), (25, 4), (1000, 4)]
)
def test_the_load_is_divided_by_its_target_within_the_limits(load: float, replicas: int) -> None:
    assert Seen().see(load, 30).desired(1) == replicas


def test_a_burst_shorter_than_the_window_counts_in_its_mean() -> None:
    seen = Seen().see(0, 30)
    assert seen.see(16, 2).desired(1) == 1
    assert seen.see(0, 1).desired(1) == 1
    assert seen.see(16, 8).desired(1) == 2


def test_a_history_shorter_than_the_window_does_not_scale_out() -> None:
    seen = Seen()
    assert seen.see(1000, 9).desired(1) == 1
    assert seen.see(1000, 1).desired(1) == 4


def test_fewer_replicas_than_the_minimum_are_raised_at_once() -> None:
    seen = Seen(AUTOSCALING.model_copy(update={"min_replicas": 2})).see(0, 1)
    assert [seen.desired(current) for current in (0, 1, 2)] == [2, 2, 2]


def test_scales_in_to_the_most_that_was_required_within_the_stabilization_time() -> None:
    seen = Seen().see(32, 70).see(16, 30).see(0, 1)
    assert seen.desired(4) == 4
    assert seen.see(0, 40).desired(4) == 2
    assert seen.see(0, 20).desired(4) == 2
    assert seen.see(0, 10).desired(4) == 1


def test_a_short_peak_keeps_its_replicas_for_the_whole_time() -> None:
    seen = Seen().see(0, 100).see(24, 10).see(0, 59)
    assert seen.desired(3) == 3
    assert seen.see(0, 10).desired(3) == 1


def test_a_history_shorter_than_the_stabilization_time_does_not_scale_in() -> None:
    seen = Seen().see(0, 59)
    assert seen.desired(4) == 4
    assert seen.see(0, 1).desired(4) == 1


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_a_short_stabilization_time_still_requires_a_window(seconds: float) -> None:
    seen = Seen(AUTOSCALING.model_copy(update={"stabilization_seconds": seconds}))
    assert seen.see(0, 9).desired(4) == 4
    assert seen.see(0, 1).desired(4) == 1


def test_replicas_without_a_known_load_are_held() -> None:
    seen = Seen().see(0, 100).see(0, 1, held=3)
    assert seen.desired(3) == 3
    assert seen.desired(2) == 2, "held, not required"
    assert seen.see(0, 60).desired(3) == 3
    assert seen.see(0, 1).desired(3) == 1


def test_a_requirement_from_elsewhere_lasts_for_the_stabilization_time() -> None:
    seen = Seen().see(0, 100)
    seen.history.require(seen.now, 6)
    assert seen.see(0, 60).desired(6) == 6
    assert seen.see(0, 1).desired(6) == 1


def test_a_lower_maximum_scales_in_after_the_stabilization_time() -> None:
    seen = Seen().see(1000, 100)
    seen.autoscaling = AUTOSCALING.model_copy(update={"max_replicas": 2})
    assert seen.see(1000, 60).desired(4) == 4
    assert seen.see(1000, 1).desired(4) == 2
