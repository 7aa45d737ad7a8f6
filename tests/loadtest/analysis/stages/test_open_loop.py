"""The steady state of simulated queues of a known load, sent part by part as a run sends them."""

from collections import Counter
from dataclasses import replace
from functools import cache
from heapq import heapreplace
from math import inf
from random import Random
from statistics import fmean

import pytest

from loadtest.recording import MS, record
from sizeup_loadtest.analysis.stages import latency, open_loop
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import StageResult
from sizeup_loadtest.workload import arrivals
from sizeup_loadtest.workload.schedule import Stage

PLACES, ANSWER = 4, 0.82
SLO = Slo(ttft_seconds=0.5, tpot_seconds=1)


def served(rate: float, seconds: float, seed: object, places: int = PLACES) -> list[Record]:
    """Simulate Poisson arrivals at places of 0.82 s, the first token after 0.2 s of them."""
    free, made = [0.0] * places, []
    for i, due in enumerate(arrivals.offsets("poisson", rate, seconds, str(seed))):
        begun = max(due / 1e9, free[0])
        heapreplace(free, begun + ANSWER)
        wait = begun * 1000 - due / MS
        one = record(i, sent=due / MS, first=200 + wait, gap=620, tokens=32, chunks=2, tail=0)
        made.append(replace(one, planned=replace(one.planned, offset_ns=due)))
    return made


@cache
def stage(rate: float, limit: float, seed: int) -> tuple[StageResult, float]:
    """Return a stage that lasts as long as it needs, and its seconds."""
    sent = served(rate, limit, seed)
    end = arrivals.duration(30, ANSWER, limit)
    while True:
        done = [r for r in sent if r.ended_ns <= end * 1e9]
        needed = open_loop.seconds_needed(done, rate)
        if needed <= end or needed > limit:
            break
        end = needed
    load = Stage("s", "open", rate, "fixed", "poisson")
    records = [r for r in sent if r.scheduled_ns <= end * 1e9]
    return latency.stage_result(load, records, SLO), end


def truth(rate: float) -> float:
    """Return the attainment in steady state."""
    settled = served(rate, 20_000, "long")[2000:]
    return fmean(latency.meets_slo(r, SLO) for r in settled)


@pytest.mark.parametrize(("rate", "seconds"), [(1, 60), (2.36, 60), (4.0, 110)])
def test_below_nine_tenths_of_capacity_the_attainment_is_right(rate: float, seconds: float) -> None:
    """Its mean over stages, and the intervals of nearly all of them; most take 45 s."""
    right = truth(rate)
    found = [stage(rate, 300, seed) for seed in range(30)]
    known = [s.attainment for s, _ in found if s.attainment]
    assert len(known) >= 28
    assert fmean(a.value for a in known) == pytest.approx(right, abs=0.06)
    assert sum(a.low <= right <= a.high for a in known) >= 24
    assert fmean(end for _, end in found) < seconds


def test_near_capacity_a_stage_is_transient_unless_it_may_take_long() -> None:
    """92 % busy, 31 % within the SLO: five short stages from an empty server say 80 %."""
    right = truth(4.5)
    assert 0.25 < right < 0.36
    short = Counter(stage(4.5, 300, seed)[0].load_state for seed in range(20))
    assert short["transient"] >= 14
    long = [s.attainment for s in (stage(4.5, 1200, seed)[0] for seed in range(8)) if s.attainment]
    assert len(long) >= 6
    assert fmean(a.value for a in long) == pytest.approx(right, abs=0.1)


@pytest.mark.parametrize("rate", [5.5, 7, 20])
def test_above_capacity_a_stage_is_saturated(rate: float) -> None:
    for seed in range(5):
        result, end = stage(rate, 300, seed)
        assert (result.load_state, result.attainment, result.goodput) == ("saturated", None, None)
        assert end == pytest.approx(45)
        assert result.requests_s is not None
        assert result.requests_s.value == pytest.approx(PLACES / ANSWER, rel=0.05)


def test_the_service_rate_is_seen_while_requests_wait() -> None:
    assert open_loop.service_rate(served(4.5, 300, 1)) == pytest.approx(PLACES / ANSWER, rel=0.1)
    assert open_loop.service_rate(served(1, 300, 1)) is None
    assert open_loop.service_rate([]) is None


def test_spread_of_prefill_is_not_a_queue() -> None:
    rng = Random(3)
    made = [
        record(i, sent=due / MS, first=200 * rng.lognormvariate(0, 0.5), gap=20, tokens=32)
        for i, due in enumerate(arrivals.offsets("poisson", 20, 45, "x"))
    ]
    assert open_loop.service_rate(made) is None
    assert open_loop.seconds_needed(made, 20) < inf


def test_the_first_third_and_the_last_answer_are_left_out() -> None:
    made = served(10, 45, 1, places=100)
    parts = open_loop.parts(made, 5)
    assert [round(p.begin_ns / 1e9) for p in parts] == pytest.approx([15, 21, 27, 33, 38], abs=1)
    assert parts[-1].end_ns / 1e9 == pytest.approx(45 - ANSWER, abs=0.3)
    assert sum(len(p.arrivals) for p in parts) == pytest.approx(292, abs=50)


def test_a_stage_that_is_too_short_to_cut_counts_as_a_whole() -> None:
    made = served(2, 0.4, 1)
    assert [len(p.arrivals) for p in open_loop.parts(made, 5)] == [len(made)]


@pytest.mark.parametrize(
    ("measured", "answer", "limit", "seconds"),
    [(30, 0.5, 300, 45), (30, 4, 300, 120), (30, 60, 300, 300), (30, 0, 20, 20)],
)
def test_a_stage_lasts_for_seconds_or_answers(
    measured: float, answer: float, limit: float, seconds: float
) -> None:
    assert arrivals.duration(measured, answer, limit) == pytest.approx(seconds)
