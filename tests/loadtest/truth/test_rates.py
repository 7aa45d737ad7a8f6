"""What the client states per second is what the server gave, by the server's own clock."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import pytest

from loadtest.mock import Behaviour
from loadtest.truth.against_mock import RESOLUTION, SIZE, LoadCase, Seen, fine, run_load
from sizeup_loadtest.analysis import latency
from sizeup_loadtest.config.schema import Mode, Slo
from sizeup_loadtest.data.results import StageResult

LONG = replace(SIZE, tokens=61, parallel=8)
"""An answer takes 0.38 s."""


LENIENT = Slo(ttft_seconds=10, tpot_seconds=10)
PROMPT = Slo(ttft_seconds=0.16, tpot_seconds=10)
"""Missed by every request that waits for a slot of SIZE."""


def found(seen: Sequence[Seen], load: LoadCase, slo: Slo) -> StageResult:
    mode: Mode = "open" if load.rate else "closed"
    stage = latency.StageLoad("s", mode, load.level, "until_eos", "openai")
    return latency.stage_result(stage, [s.record for s in seen], slo)


def service(seen: Sequence[Seen]) -> float:
    """Return the mean time an answer has a place for."""
    return fmean(((s.truth.ended_ns or 0) - (s.truth.begun_ns or 0)) / 1e9 for s in seen)


def agree(result: StageResult, answers_s: float, tokens: int, seconds: float) -> None:
    """Each answer may have looked longer by what a moment may differ."""
    within = RESOLUTION / seconds
    assert result.requests_s is not None
    assert result.requests_s.value == pytest.approx(answers_s, rel=within)
    assert result.out_tok_s is not None
    assert result.out_tok_s.value == pytest.approx(answers_s * tokens, rel=within)


@pytest.mark.parametrize("users", [1, 4, 8])
def test_users_get_what_the_server_gives(users: int) -> None:
    load = LoadCase(users, 4 * users)
    seen = fine(run_load(Behaviour((LONG,)), load))
    took = service(seen)
    result = found(seen, load, LENIENT)
    agree(result, users / took, LONG.tokens, took)
    assert result.goodput == result.requests_s


def test_more_users_than_places_get_what_the_places_give() -> None:
    size = replace(LONG, parallel=2)
    load = LoadCase(8, 26, edges=True)
    seen = fine(run_load(Behaviour((size,)), load))
    took = service(seen)
    result = found(seen, load, PROMPT)
    agree(result, 2 / took, size.tokens, took)
    # All but the first two wait for a place, and those fill the loop.
    assert result.goodput is not None
    assert result.goodput.value == 0


def test_an_open_loop_gets_what_it_asks_for() -> None:
    load = LoadCase(10, 24, rate=True)
    seen = fine(run_load(Behaviour((replace(SIZE, parallel=8),)), load))
    result = found(seen, load, LENIENT)
    agree(result, 10, SIZE.tokens, service(seen))
    assert result.goodput is not None
    assert result.goodput.value == pytest.approx(10)


def test_an_open_loop_beyond_capacity_gets_what_the_server_gives() -> None:
    """Two places of 140 ms are 14 answers a second; 40 requests a second come."""
    load = LoadCase(40, 60, rate=True)
    seen = fine(run_load(Behaviour((SIZE,)), load))
    took = service(seen)
    result = found(seen, load, PROMPT)
    agree(result, 2 / took, SIZE.tokens, took)
    prompt = sum(s.truth.ttft_seconds <= PROMPT.ttft_seconds for s in seen)
    assert result.goodput is not None
    assert result.goodput.value * 60 / 40 == pytest.approx(prompt, abs=2)
