"""What is per second, against loads whose truth is known."""

from collections.abc import Callable
from heapq import heapreplace
from random import Random

import pytest

from loadtest.recording import MS, failed, record
from sizeup_loadtest import rates
from sizeup_loadtest.rates import Window
from sizeup_loadtest.record import Outcome, Record


def answer(index: int, sent: float, took: float, waited: float = 0) -> Record:
    """Return an answer that took some seconds after it had waited, 10 tokens evenly over them."""
    gap = took * 100
    first = waited * 1000 + gap
    return record(index, sent=sent * 1000, first=first, gap=gap, tokens=10, tail=0)


def closed(users: int, requests: int, took: Callable[[], float], apart: float = 0) -> list[Record]:
    """Return what users see who begin one after the other and each wait for their answers."""
    free = [apart * user for user in range(users)]
    made = []
    for index in range(requests):
        sent, seconds = min(free), took()
        heapreplace(free, sent + seconds)
        made.append(answer(index, sent, seconds))
    return made


def open_loop(rate: float, requests: int, places: int, took: float) -> list[Record]:
    """Return what comes at an even rate sees of a server that answers some at a time."""
    free = [0.0] * places
    made = []
    for index in range(requests):
        due = index / rate
        begun = max(due, min(free))
        heapreplace(free, begun + took)
        made.append(answer(index, due, took, begun - due))
    return made


def always(record: Record) -> bool:
    return record.outcome is Outcome.OK


def per_second(
    records: list[Record], mode: str, level: float, good: Callable[[Record], bool] = always
) -> dict[str, float]:
    found = rates.rates(records, mode, level, good)
    return {name: count / seconds for name, (count, seconds) in found.items()}


@pytest.mark.parametrize("users", [1, 4, 8])
def test_users_in_step_are_counted_as_what_they_are(users: int) -> None:
    """An answer takes a second, give or take a hundredth; so each user gets one a second.

    Of the last of four rounds the last of ten tokens comes when the first user has ended.
    """
    rng = Random(users)
    records = closed(users, 4 * users, lambda: rng.uniform(0.99, 1.01))
    found = per_second(records, "closed", users)
    assert found["requests_s"] == pytest.approx(users, rel=0.025)
    assert found["goodput"] == found["requests_s"]
    assert found["out_tok_s"] == pytest.approx(10 * found["requests_s"])


@pytest.mark.parametrize("users", [1, 4, 8])
def test_users_out_of_step_are_counted_as_what_they_are(users: int) -> None:
    records = closed(users, 50 * users, lambda: 1.0, apart=1 / users)
    found = per_second(records, "closed", users)
    assert found["requests_s"] == pytest.approx(users)
    assert found["out_tok_s"] == pytest.approx(10 * users, rel=0.01)


def test_answers_of_any_length_are_counted_as_what_they_are() -> None:
    """Eight users, a mean of one second: eight answers a second, over many runs."""
    rng = Random(6)
    runs = [
        rates.rates(closed(8, 40, lambda: rng.uniform(0.2, 1.8), apart=0.12), "closed", 8, always)
        for _ in range(300)
    ]
    count = sum(run["requests_s"][0] for run in runs)
    assert count / sum(run["requests_s"][1] for run in runs) == pytest.approx(8, rel=0.02)


def test_goodput_is_the_good_part() -> None:
    records = closed(4, 80, lambda: 1.0, apart=0.25)
    found = per_second(records, "closed", 4, lambda r: r.planned.index % 4 != 0)
    assert found["goodput"] == pytest.approx(3, rel=0.02)
    assert found["requests_s"] == pytest.approx(4)
    records[::2] = [failed(r, Outcome.BUSY) for r in records[::2]]
    assert per_second(records, "closed", 4)["requests_s"] == pytest.approx(2, rel=0.02)


def test_an_open_loop_gets_what_it_asks_for() -> None:
    records = open_loop(4, 40, places=8, took=0.5)
    found = per_second(records, "open", 4)
    assert found["requests_s"] == pytest.approx(4, rel=0.03)
    assert found["out_tok_s"] == pytest.approx(40, rel=0.03)
    assert found["goodput"] == pytest.approx(4)
    half = per_second(records, "open", 4, lambda r: r.planned.index % 2 == 0)
    assert half["goodput"] == pytest.approx(2)


def test_an_open_loop_beyond_capacity_gets_what_the_server_gives() -> None:
    """Two places of half a second are four answers a second; ten come, and few in time."""
    records = open_loop(10, 60, places=2, took=0.5)
    found = per_second(records, "open", 10, lambda r: r.ended_ns - r.scheduled_ns < 1000 * MS)
    assert found["requests_s"] == pytest.approx(4, rel=0.1)
    assert found["out_tok_s"] == pytest.approx(40, rel=0.1)
    good = sum(r.ended_ns - r.scheduled_ns < 1000 * MS for r in records)
    assert found["goodput"] == pytest.approx(good / 6)


def test_output_that_never_was_steady_is_not_zero() -> None:
    """Six requests at two a second are over before an answer of four seconds is."""
    found = rates.rates(open_loop(2, 6, places=8, took=4), "open", 2, always)
    assert found["requests_s"][1] == found["out_tok_s"][1] == 0
    assert found["goodput"] == (6, 3)


def test_a_server_that_refuses_all_gives_nothing() -> None:
    records = [failed(r, Outcome.BUSY) for r in open_loop(2, 8, places=8, took=0.1)]
    assert rates.rates(records, "open", 2, always)["requests_s"] == (0, 4)


def test_the_window_of_a_closed_loop_is_when_all_users_wait() -> None:
    """The second begins 50 ms later, and the first ends 20 ms before the second."""
    records = [
        record(0, sent=0, tail=0),
        record(1, sent=50, tail=0),
        record(2, sent=200, tail=0),
        record(3, sent=250, first=90, tail=0),
    ]
    assert rates.steady_window(records, "closed", 2) == Window(50 * MS, 400 * MS)


def test_a_closed_loop_that_was_never_full_has_no_window() -> None:
    records = [record(i, sent=300 * i) for i in range(4)]
    assert rates.steady_window(records, "closed", 2).seconds == 0


def test_the_window_of_an_open_loop_is_its_schedule_once_the_server_is_full() -> None:
    records = [record(i, sent=100 * i + 7, late=7, tail=0) for i in range(5)]
    assert rates.offered_window(records, 10) == Window(0, 500 * MS)
    assert rates.steady_window(records, "open", 10) == Window(207 * MS, 500 * MS)


def test_tokens_outside_the_window_do_not_count() -> None:
    made = record()
    assert rates.tokens_inside(made, Window(0, 150 * MS)) == 6
    assert rates.tokens_inside(record(tokens=22, chunks=11), Window(0, 150 * MS)) == 12


def test_an_answer_counts_by_what_arrived_inside() -> None:
    made = record(tokens=10)
    assert rates.share_inside(made, Window(0, 139 * MS)) == 0.4
    assert rates.share_inside(made, Window(139 * MS, 900 * MS)) == 0.6
    assert rates.share_inside(failed(made, Outcome.TRUNCATED), Window(0, 900 * MS)) == 0
    nothing = record(tokens=0, tail=100)
    assert rates.share_inside(nothing, Window(0, 100 * MS)) == 1
    assert rates.share_inside(nothing, Window(100 * MS, 900 * MS)) == 0
