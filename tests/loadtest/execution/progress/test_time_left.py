import pytest

from sizeup_loadtest.execution.progress.time_left import TimeLeft

EXPECTED = {"speed": 100.0, "capacity": 40.0, "ability": 50.0}


def after_one_segment(limit: float = 1e6, budgeted: bool = False) -> TimeLeft:
    """Return a run whose first segment, estimated at 10 s, took 5 s after a warm-up of 2."""
    time = TimeLeft(EXPECTED, limit, budgeted)
    time.began_phase("warm_up", 0.0)
    time.began_segment(4.0, 0.0)
    time.began_phase("speed", 2.0)
    time.began_segment(10.0, 2.0)
    time.began_segment(20.0, 7.0)
    return time


def test_before_any_segment_nothing_is_known() -> None:
    assert TimeLeft(EXPECTED, 1e6).left(0.0) is None
    assert TimeLeft(EXPECTED, 1e6).share_done(0.0) is None


def test_the_warm_up_gives_the_first_pace() -> None:
    time = TimeLeft(EXPECTED, 1e6)
    time.began_phase("warm_up", 0.0)
    time.began_segment(4.0, 0.0)
    time.began_phase("speed", 2.0)
    assert time.left(2.0) == pytest.approx(0.5 * 100 + 40 + 0.5 * 50)


def test_what_is_left_follows_the_measured_pace_in_every_phase_but_capacity() -> None:
    time = after_one_segment()
    assert time.left(7.0) == pytest.approx(0.5 * 90 + 40 + 0.5 * 50)
    assert time.left(7.0, done=0.5) == pytest.approx(0.5 * 80 + 40 + 0.5 * 50)


def test_an_ended_phase_has_nothing_left() -> None:
    time = after_one_segment()
    time.began_phase("ability", 20.0)
    assert time.left(20.0) == pytest.approx(50 * 18 / 30)


def test_the_limit_of_a_run_bounds_it() -> None:
    assert after_one_segment(limit=30.0).left(7.0) == pytest.approx(23)


def test_a_budget_is_used_up_by_time_alone() -> None:
    time = after_one_segment(budgeted=True)
    assert time.left(10.0) == pytest.approx(100 - 5 - 3 + 40 + 50)


def test_the_share_done_is_of_the_whole_time() -> None:
    time = after_one_segment()
    assert time.share_done(7.0) == pytest.approx(7 / (7 + 110))
