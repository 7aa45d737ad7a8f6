from dataclasses import replace

from loadtest.recording import failed, record
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.execution.sending.failures import IN_A_ROW, FailureStreak


def bad(at: float, outcome: Outcome = Outcome.DISCONNECTED, stage: str = "closed-1") -> Record:
    return replace(failed(record(sent=at, tail=0), outcome), stage=stage)


def test_failures_one_after_the_other_stop_a_model() -> None:
    streak = FailureStreak()
    stops = [streak.add(bad(1000 * i)) for i in range(IN_A_ROW)]
    assert stops == [*[False] * (IN_A_ROW - 1), True]


def test_a_success_begins_anew() -> None:
    streak = FailureStreak()
    for i in range(2 * IN_A_ROW):
        at = 1000 * i
        assert not streak.add(bad(at) if (i + 1) % IN_A_ROW else record(sent=at))


def test_requests_that_fail_together_count_once() -> None:
    streak = FailureStreak()
    assert not any(streak.add(bad(i)) for i in range(100))
    assert streak.length == 1


def test_overload_of_a_capacity_search_does_not_count() -> None:
    streak = FailureStreak()
    search = "capacity-open-8"
    assert not any(streak.add(bad(1000 * i, Outcome.TIMEOUT, search)) for i in range(50))
    assert any(streak.add(bad(10**6 + 1000 * i, stage=search)) for i in range(50))
