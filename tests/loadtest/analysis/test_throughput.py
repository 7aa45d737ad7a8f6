"""What is per second, against loads whose truth is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heapreplace
from random import Random
from statistics import fmean

import pytest

from loadtest.recording import MS, failed, record
from sizeup_loadtest.analysis import throughput
from sizeup_loadtest.analysis.throughput import Window
from sizeup_loadtest.data.record import Outcome, Record


def answer(index: int, sent: float, took: float, waited: float = 0, tokens: int = 10) -> Record:
    """Return an answer that took some seconds after it had waited, its tokens evenly over them."""
    gap = took * 1000 / tokens
    first = waited * 1000 + gap
    return record(index, sent=sent * 1000, first=first, gap=gap, tokens=tokens, tail=0)


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
    return together([records], mode, level, good)


def together(
    blocks: Sequence[list[Record]],
    mode: str,
    level: float,
    good: Callable[[Record], bool] = always,
) -> dict[str, float]:
    found = throughput.rates(blocks, mode, level, good)
    return {
        name: sum(block[name][0] for block in found) / sum(block[name][1] for block in found)
        for name in throughput.NAMES
    }


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


class Lengths:
    """Answers of about a second: lognormal, cut as a limit of tokens cuts them."""

    def __init__(self, rng: Random, sigma: float) -> None:
        self.drawn: list[float] = []
        self._rng = rng
        self._sigma = sigma

    def __call__(self) -> float:
        seconds = self._rng.lognormvariate(-self._sigma * self._sigma / 2, self._sigma)
        self.drawn.append(min(8.0, seconds))
        return self.drawn[-1]


def marked(users: int, requests: int, took: Callable[[], float], places: int = 99) -> list[Record]:
    """Return a block of a plan: users begin over a mean answer, and the edges are marked."""
    ramp, free, ready = users - 1, [0.0] * places, [user / users for user in range(users)]
    made = []
    for index in range(requests + 2 * ramp):
        sent, seconds = min(ready), took()
        begun = max(sent, min(free))
        heapreplace(free, begun + seconds)
        heapreplace(ready, begun + seconds)
        one = answer(index, sent, seconds, begun - sent)
        inner = ramp <= index < requests + ramp
        made.append(replace(one, planned=replace(one.planned, ramp=not inner)))
    return made


@pytest.mark.parametrize(("users", "requests"), [(2, 16), (8, 8), (8, 16), (32, 32)])
@pytest.mark.parametrize("sigma", [0, 1, 1.5])
def test_answers_of_any_length_are_counted_as_what_they_are(
    users: int, requests: int, sigma: float
) -> None:
    """Each user gets an answer in the mean time of one, over many blocks."""
    took = Lengths(Random(6), sigma)
    blocks = [marked(users, requests, took) for _ in range(20_000 // (requests + 2 * users))]
    found = together(blocks, "closed", users, lambda r: r.planned.index % 2 == 0)
    truth = users / fmean(took.drawn)
    assert found["requests_s"] == pytest.approx(truth, rel=0.03)
    assert found["out_tok_s"] == pytest.approx(10 * found["requests_s"])
    assert found["goodput"] == pytest.approx(truth / 2, rel=0.04)


@pytest.mark.parametrize("sigma", [0, 1])
def test_a_queue_that_users_fill_is_counted_as_what_the_places_give(sigma: float) -> None:
    took = Lengths(Random(3), sigma)
    blocks = [marked(8, 24, took, places=2) for _ in range(300)]
    truth = 2 / fmean(took.drawn)
    assert together(blocks, "closed", 8)["requests_s"] == pytest.approx(truth, rel=0.03)


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


@pytest.mark.parametrize("requests", [4, 8, 15])
def test_short_answers_at_an_even_rate_are_what_came(requests: int) -> None:
    found = per_second(open_loop(4, requests, places=8, took=0.05), "open", 4)
    assert found["requests_s"] == pytest.approx(4)
    assert found["out_tok_s"] == pytest.approx(40)


def arriving(
    rng: Random, rate: float, requests: int, places: int, took: Callable[[], float]
) -> list[Record]:
    """Return what comes by chance sees of a server that answers some at a time."""
    free, due, made = [0.0] * places, 0.0, []
    for index in range(requests):
        begun, seconds = max(due, min(free)), took()
        heapreplace(free, begun + seconds)
        made.append(answer(index, due, seconds, begun - due, 1 + int(20 * seconds)))
        due += rng.expovariate(rate)
    return made


@pytest.mark.parametrize("sigma", [0, 1])
@pytest.mark.parametrize("mean", [0.05, 0.6])
def test_arrivals_by_chance_get_what_they_ask_for(mean: float, sigma: float) -> None:
    rng, rate = Random(5), 4
    took = Lengths(rng, sigma)
    blocks = [arriving(rng, rate, 15, 50, lambda: mean * took()) for _ in range(400)]
    asked = sum(throughput.offered_window(block, rate).seconds for block in blocks)
    found = [
        one["requests_s"]
        for five in range(0, len(blocks), 5)
        for one in throughput.rates(blocks[five : five + 5], "open", rate, always)
    ]
    assert all(seconds for _, seconds in found)
    served = sum(count for count, _ in found) / sum(seconds for _, seconds in found)
    assert served == pytest.approx(15 * len(blocks) / asked, rel=0.03)


@pytest.mark.parametrize("sigma", [0, 1])
def test_arrivals_by_chance_beyond_capacity_get_what_the_server_gives(sigma: float) -> None:
    """Two places of half a second or so are four answers a second, and ten come."""
    rng = Random(7)
    took = Lengths(rng, sigma)
    blocks = [arriving(rng, 10, 30, 2, lambda: took() / 2) for _ in range(200)]
    truth = 4 / fmean(took.drawn)
    assert together(blocks, "open", 10)["requests_s"] == pytest.approx(truth, rel=0.05)


def test_a_server_that_slows_down_gives_what_it_can() -> None:
    """All are under way at once and share 40 tokens a second, while 10 answers of 10 are asked."""
    left: dict[int, int] = {}
    due, moment = [0.1 * i for i in range(60)], 0.0
    tokens: dict[int, list[float]] = {i: [] for i in range(60)}
    while moment < 0.1 or left:
        left |= {i: 10 for i in range(60) if due[i] <= moment and not tokens[i]}
        for i in sorted(left):
            moment += 1 / 40
            tokens[i].append(moment)
            left[i] -= 1
        left = {i: n for i, n in left.items() if n}
    records = [
        replace(
            record(i, sent=1000 * due[i]),
            completion_tokens=10,
            chunk_ns=tuple(round(at * 1000 * MS) for at in tokens[i]),
            ended_ns=round(tokens[i][-1] * 1000 * MS),
        )
        for i in range(60)
    ]
    found = per_second(records, "open", 10)
    assert found["out_tok_s"] == pytest.approx(40, rel=0.03)
    assert found["requests_s"] == pytest.approx(4, rel=0.03)


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
    [found] = throughput.rates([open_loop(2, 6, places=8, took=4)], "open", 2, always)
    assert found["requests_s"][1] == found["out_tok_s"][1] == 0
    assert found["goodput"] == (6, 3)


def test_a_server_that_refuses_all_gives_nothing() -> None:
    records = [failed(r, Outcome.BUSY) for r in open_loop(2, 8, places=8, took=0.1)]
    [found] = throughput.rates([records], "open", 2, always)
    assert found["requests_s"] == (0, 4)


def test_the_window_of_a_closed_loop_is_when_all_users_wait() -> None:
    """The second begins 50 ms later, and the first ends 20 ms before the second."""
    records = [
        record(0, sent=0, tail=0),
        record(1, sent=50, tail=0),
        record(2, sent=200, tail=0),
        record(3, sent=250, first=90, tail=0),
    ]
    assert throughput.full_window(records, 2) == Window(50 * MS, 400 * MS)


def test_a_closed_loop_that_was_never_full_has_no_window() -> None:
    records = [record(i, sent=300 * i) for i in range(4)]
    assert throughput.full_window(records, 2).seconds == 0


def test_the_window_of_an_open_loop_is_its_schedule() -> None:
    records = [record(i, sent=100 * i + 7, late=7, tail=0) for i in range(5)]
    assert throughput.offered_window(records, 10) == Window(0, 500 * MS)


def test_what_arrived_before_a_failure_counts_as_tokens() -> None:
    assert throughput.tokens(record(tokens=22, chunks=11)) == 22
    assert throughput.tokens(failed(record(tokens=11), Outcome.TRUNCATED)) == 11
    assert throughput.tokens(record(tokens=0)) == 0
