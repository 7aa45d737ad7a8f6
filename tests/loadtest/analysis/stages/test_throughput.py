"""Rates of simulated loads with a known true rate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heapreplace
from random import Random
from statistics import fmean

import pytest

from loadtest.recording import MS, failed, record
from sizeup_loadtest.analysis.stages import throughput
from sizeup_loadtest.analysis.stages.open_loop import parts as open_loop_parts
from sizeup_loadtest.data.record import Outcome, Record


def answer(index: int, sent: float, latency: float, waited: float = 0, tokens: int = 10) -> Record:
    """Return a response that waited and then took some seconds, with evenly spaced tokens."""
    gap = latency * 1000 / tokens
    first = waited * 1000 + gap
    return record(index, sent=sent * 1000, first=first, gap=gap, tokens=tokens, tail=0)


def closed(
    users: int, requests: int, latency: Callable[[], float], apart: float = 0
) -> list[Record]:
    """Simulate a closed loop whose users start one after the other."""
    free = [apart * user for user in range(users)]
    made = []
    for index in range(requests):
        sent, seconds = min(free), latency()
        heapreplace(free, sent + seconds)
        made.append(answer(index, sent, seconds))
    return made


def open_loop(rate: float, requests: int, slots: int, latency: float) -> list[Record]:
    """Simulate arrivals at a constant rate at a server with some slots."""
    free = [0.0] * slots
    made = []
    for index in range(requests):
        due = index / rate
        begun = max(due, min(free))
        heapreplace(free, begun + latency)
        made.append(answer(index, due, latency, begun - due))
    return made


def rates(
    blocks: Sequence[list[Record]], mode: str, level: float, good: Callable[[Record], bool]
) -> list[throughput.Rates]:
    if mode == "open":
        parts = [part for block in blocks for part in open_loop_parts(block, 1)]
        return [throughput.open_rates(part, good) for part in parts]
    pairs = zip(blocks, throughput.steady(blocks), strict=True)
    return [throughput.closed_rates(block, inner, int(level), good) for block, inner in pairs]


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
    found = rates(blocks, mode, level, good)
    return {
        name: sum(block[name][0] for block in found) / sum(block[name][1] for block in found)
        for name in throughput.NAMES
    }


@pytest.mark.parametrize("users", [1, 4, 8])
def test_users_in_lockstep(users: int) -> None:
    """A response takes a second, with 1 % jitter, so each user completes one per second.

    In the last of four rounds the last of ten tokens arrives after the first user has ended.
    """
    rng = Random(users)
    records = closed(users, 4 * users, lambda: rng.uniform(0.99, 1.01))
    found = per_second(records, "closed", users)
    assert found["requests_s"] == pytest.approx(users, rel=0.025)
    assert found["goodput"] == found["requests_s"]
    assert found["out_tok_s"] == pytest.approx(10 * found["requests_s"])


@pytest.mark.parametrize("users", [1, 4, 8])
def test_users_out_of_step(users: int) -> None:
    records = closed(users, 50 * users, lambda: 1.0, apart=1 / users)
    found = per_second(records, "closed", users)
    assert found["requests_s"] == pytest.approx(users)
    assert found["out_tok_s"] == pytest.approx(10 * users, rel=0.01)


class Lengths:
    """Latencies of about a second: lognormal, truncated as by max_tokens."""

    def __init__(self, rng: Random, sigma: float) -> None:
        self.drawn: list[float] = []
        self._rng = rng
        self._sigma = sigma

    def __call__(self) -> float:
        seconds = self._rng.lognormvariate(-self._sigma * self._sigma / 2, self._sigma)
        self.drawn.append(min(8.0, seconds))
        return self.drawn[-1]


def marked(
    users: int, requests: int, latency: Callable[[], float], slots: int = 99
) -> list[Record]:
    """Return a block with ramp-up over one mean latency, and marked ramps."""
    ramp, free, ready = users - 1, [0.0] * slots, [user / users for user in range(users)]
    made = []
    for index in range(requests + 2 * ramp):
        sent, seconds = min(ready), latency()
        begun = max(sent, min(free))
        heapreplace(free, begun + seconds)
        heapreplace(ready, begun + seconds)
        one = answer(index, sent, seconds, begun - sent)
        inner = ramp <= index < requests + ramp
        made.append(replace(one, planned=replace(one.planned, ramp=not inner)))
    return made


@pytest.mark.parametrize(("users", "requests"), [(2, 16), (8, 8), (8, 16), (32, 32)])
@pytest.mark.parametrize("sigma", [0, 1, 1.5])
def test_outputs_of_any_length(users: int, requests: int, sigma: float) -> None:
    """Over many blocks, each user completes one request per mean latency."""
    latency = Lengths(Random(6), sigma)
    blocks = [marked(users, requests, latency) for _ in range(20_000 // (requests + 2 * users))]
    found = together(blocks, "closed", users, lambda r: r.planned.index % 2 == 0)
    truth = users / fmean(latency.drawn)
    assert found["requests_s"] == pytest.approx(truth, rel=0.03)
    assert found["out_tok_s"] == pytest.approx(10 * found["requests_s"])
    assert found["goodput"] == pytest.approx(truth / 2, rel=0.04)


def test_the_wait_of_refused_users_is_in_the_rate() -> None:
    """Slow requests are those that were refused, and were let in a tenth of a second before."""
    latency = Lengths(Random(6), 1)
    blocks = [marked(8, 8, latency) for _ in range(900)]
    waited = [[r if r.ended_ns - r.sent_ns < 10**9 else refused(r) for r in b] for b in blocks]
    truth = 8 / fmean(latency.drawn)
    assert together(waited, "closed", 8)["requests_s"] == pytest.approx(truth, rel=0.03)


def refused(record: Record) -> Record:
    sent_ns = record.ended_ns - 10**8
    return replace(record, sent_ns=sent_ns, waited_ns=sent_ns - record.sent_ns, retries=1)


@pytest.mark.parametrize("sigma", [0, 1])
def test_a_queue_of_users_gets_the_rate_of_the_slots(sigma: float) -> None:
    latency = Lengths(Random(3), sigma)
    blocks = [marked(8, 24, latency, slots=2) for _ in range(300)]
    truth = 2 / fmean(latency.drawn)
    assert together(blocks, "closed", 8)["requests_s"] == pytest.approx(truth, rel=0.03)


def test_goodput_is_the_part_within_the_slo() -> None:
    records = closed(4, 80, lambda: 1.0, apart=0.25)
    found = per_second(records, "closed", 4, lambda r: r.planned.index % 4 != 0)
    assert found["goodput"] == pytest.approx(3, rel=0.02)
    assert found["requests_s"] == pytest.approx(4)
    records[::2] = [failed(r, Outcome.BUSY) for r in records[::2]]
    assert per_second(records, "closed", 4)["requests_s"] == pytest.approx(2, rel=0.02)


def test_below_capacity_an_open_loop_gets_its_rate() -> None:
    records = open_loop(4, 40, slots=8, latency=0.5)
    found = per_second(records, "open", 4)
    assert found["requests_s"] == pytest.approx(4, rel=0.03)
    assert found["out_tok_s"] == pytest.approx(40, rel=0.03)
    assert found["goodput"] == pytest.approx(4)
    half = per_second(records, "open", 4, lambda r: r.planned.index % 2 == 0)
    assert half["goodput"] == pytest.approx(2)


def arriving(
    rng: Random, rate: float, requests: int, slots: int, latency: Callable[[], float]
) -> list[Record]:
    """Simulate Poisson arrivals at a server with some slots."""
    free, due, made = [0.0] * slots, 0.0, []
    for index in range(requests):
        begun, seconds = max(due, min(free)), latency()
        heapreplace(free, begun + seconds)
        made.append(answer(index, due, seconds, begun - due, 1 + int(20 * seconds)))
        due += rng.expovariate(rate)
    return made


@pytest.mark.parametrize("sigma", [0, 1])
@pytest.mark.parametrize("mean", [0.05, 0.6])
def test_poisson_arrivals_below_capacity(mean: float, sigma: float) -> None:
    rng, rate = Random(5), 4
    latency = Lengths(rng, sigma)
    blocks = [arriving(rng, rate, 150, 50, lambda: mean * latency()) for _ in range(40)]
    assert together(blocks, "open", rate)["requests_s"] == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("sigma", [0, 1])
def test_poisson_arrivals_above_capacity(sigma: float) -> None:
    """Two slots of about half a second serve four requests/s; ten arrive."""
    rng = Random(7)
    latency = Lengths(rng, sigma)
    blocks = [arriving(rng, 10, 300, 2, lambda: latency() / 2) for _ in range(20)]
    truth = 4 / fmean(latency.drawn)
    assert together(blocks, "open", 10)["requests_s"] == pytest.approx(truth, rel=0.05)


def test_a_server_that_slows_down() -> None:
    """All run at once and share 40 tokens/s, while 100 tokens/s are requested."""
    left: dict[int, int] = {}
    due, now = [0.1 * i for i in range(60)], 0.0
    tokens: dict[int, list[float]] = {i: [] for i in range(60)}
    while now < 0.1 or left:
        left |= {i: 10 for i in range(60) if due[i] <= now and not tokens[i]}
        for i in sorted(left):
            now += 1 / 40
            tokens[i].append(now)
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


def test_above_capacity_an_open_loop_gets_the_servers_rate() -> None:
    """Two slots of half a second serve four requests/s; ten arrive, few within the SLO."""
    records = open_loop(10, 60, slots=2, latency=0.5)
    found = per_second(records, "open", 10, lambda r: r.ended_ns - r.scheduled_ns < 1000 * MS)
    assert found["requests_s"] == pytest.approx(4, rel=0.1)
    assert found["out_tok_s"] == pytest.approx(40, rel=0.1)
    assert found["goodput"] == 0


def test_a_server_that_rejects_everything_has_no_rate() -> None:
    records = [failed(r, Outcome.BUSY) for r in open_loop(2, 8, slots=8, latency=0.1)]
    assert per_second(records, "open", 2)["requests_s"] == 0


def test_the_window_of_a_closed_loop_is_at_full_concurrency() -> None:
    """The second begins 50 ms later, and the first ends 20 ms before the second."""
    records = [
        record(0, sent=0, tail=0),
        record(1, sent=50, tail=0),
        record(2, sent=200, tail=0),
        record(3, sent=250, first=90, tail=0),
    ]
    assert throughput.full_window(records, 2) == (50 * MS, 400 * MS)


def test_a_closed_loop_that_was_never_full_has_no_window() -> None:
    records = [record(i, sent=300 * i) for i in range(4)]
    begin, end = throughput.full_window(records, 2)
    assert begin == end


def test_tokens_before_a_failure_do_not_count() -> None:
    assert throughput.tokens(record(tokens=22, chunks=11)) == 22
    assert throughput.tokens(failed(record(tokens=11), Outcome.TRUNCATED)) == 0
    assert throughput.tokens(record(tokens=0)) == 0
