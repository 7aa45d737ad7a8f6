"""Rates of the client match those of the mock server."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import pytest

from loadtest.mock import Behaviour
from loadtest.truth.against_mock import MODEL, RESOLUTION, LoadCase, Seen, fine, run_load
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.config.schema import Mode, Slo
from sizeup_loadtest.data.results import StageResult
from sizeup_loadtest.workload.schedule import Stage

LONG = replace(MODEL, tokens=61, parallel=8)
"""A response takes 0.38 s."""


LENIENT = Slo(ttft_seconds=10, tpot_seconds=10)
PROMPT = Slo(ttft_seconds=0.16, tpot_seconds=10)
"""Missed by every request that waits for a slot of SIZE."""


def found(seen: Sequence[Seen], load: LoadCase, slo: Slo) -> StageResult:
    mode: Mode = "open" if load.rate else "closed"
    stage = Stage("s", mode, load.level, "until_eos")
    return latency.stage_result(stage, [s.record for s in seen], slo)


def service(seen: Sequence[Seen]) -> float:
    """Return the mean time a request occupies a slot."""
    return fmean(((s.truth.ended_ns or 0) - (s.truth.begun_ns or 0)) / 1e9 for s in seen)


def agree(result: StageResult, answers_s: float, tokens: int, seconds: float) -> None:
    """Allow for the resolution of one timestamp per response."""
    within = RESOLUTION / seconds
    assert result.requests_s is not None
    assert result.requests_s.value == pytest.approx(answers_s, rel=within)
    assert result.out_tok_s is not None
    assert result.out_tok_s.value == pytest.approx(answers_s * tokens, rel=within)


@pytest.mark.parametrize("users", [1, 4, 8])
def test_closed_loop_rates_match_the_server(users: int) -> None:
    load = LoadCase(users, 4 * users)
    seen = fine(run_load(Behaviour((LONG,)), load))
    service_seconds = service(seen)
    result = found(seen, load, LENIENT)
    agree(result, users / service_seconds, LONG.tokens, service_seconds)
    assert result.goodput == result.requests_s


def test_above_the_slots_rates_match_the_slots() -> None:
    size = replace(LONG, parallel=2)
    load = LoadCase(8, 26, ramp=True)
    seen = fine(run_load(Behaviour((size,)), load))
    service_seconds = service(seen)
    result = found(seen, load, PROMPT)
    agree(result, 2 / service_seconds, size.tokens, service_seconds)
    # All but the first two wait for a slot, and those are ramp-up.
    assert result.goodput is not None
    assert result.goodput.value == 0


def test_below_capacity_an_open_loop_gets_its_rate() -> None:
    load = LoadCase(10, 45, rate=True)
    seen = fine(run_load(Behaviour((replace(MODEL, parallel=8),)), load))
    result = found(seen, load, LENIENT)
    agree(result, 10, MODEL.tokens, service(seen))
    assert result.load_state == "steady"
    assert result.goodput is not None
    assert result.goodput.value == pytest.approx(10, rel=0.1)


def test_above_capacity_an_open_loop_gets_the_servers_rate() -> None:
    """Two slots of 140 ms serve 14 requests/s; 40 arrive per second."""
    load = LoadCase(40, 60, rate=True)
    seen = fine(run_load(Behaviour((MODEL,)), load))
    service_seconds = service(seen)
    result = found(seen, load, PROMPT)
    agree(result, 2 / service_seconds, MODEL.tokens, service_seconds)
    assert (result.load_state, result.attainment, result.goodput) == ("saturated", None, None)
