"""Counts and error classes of the client match the mock server."""

from collections import Counter
from dataclasses import replace

import pytest

from loadtest.mock import Behaviour
from loadtest.mock.behaviour import FAILURES
from loadtest.truth.against_mock import MODEL, LoadCase, fine, run_load
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Api, Outcome
from sizeup_loadtest.workload.schedule import Stage

APIS: list[Api] = ["openai", "ollama"]
QUICK = replace(MODEL, ttft_seconds=0.005, gap_seconds=0.001, parallel=64)


@pytest.mark.parametrize("api", APIS)
def test_tokens_match_the_server(api: Api) -> None:
    size = replace(QUICK, tokens_per_chunk=3)
    for one in run_load(Behaviour((size,)), LoadCase(8, 16, api=api)):
        assert one.record.completion_tokens == one.truth.tokens == 13
        assert one.record.prompt_tokens == one.truth.prompt_tokens
        assert one.record.finish_reason == "stop"


def test_a_fixed_length_is_exact() -> None:
    for one in run_load(Behaviour((QUICK,)), LoadCase(8, 16, length="fixed", max_tokens=29)):
        assert one.record.completion_tokens == one.truth.tokens == 29
        assert one.record.finish_reason == "length"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("kind", sorted(FAILURES - {Outcome.TIMEOUT}))
def test_every_failure_is_classified(kind: Outcome, api: Api) -> None:
    seen = run_load(Behaviour((QUICK,), failures={kind: 1}), LoadCase(2, 4, api=api))
    assert [s.record.outcome for s in seen] == [kind] * 4
    assert all(s.record.error for s in seen)


def test_a_hung_request_times_out() -> None:
    seen = run_load(Behaviour((QUICK,), failures={Outcome.TIMEOUT: 1}), LoadCase(2, 2, timeout=0.5))
    assert [s.record.outcome for s in seen] == [Outcome.TIMEOUT] * 2
    assert all(s.truth.disconnected for s in seen)


def test_failures_are_counted_by_class_and_miss_the_slo() -> None:
    kinds = (Outcome.BUSY, Outcome.UNAVAILABLE, Outcome.FAILED, Outcome.TRUNCATED)
    seen = run_load(Behaviour((QUICK,), failures=dict.fromkeys(kinds, 0.1)), LoadCase(8, 120))
    truth = Counter(s.truth.outcome for s in seen)
    assert set(truth) == {*kinds, Outcome.OK}
    load = Stage("s", "closed", 8, "until_eos")
    result = latency.stage_result(
        load, [s.record for s in seen], Slo(ttft_seconds=10, tpot_seconds=10)
    )
    assert result.errors == {kind.value: truth[kind] for kind in kinds}
    assert result.attainment is not None
    assert (result.attainment.successes, result.attainment.n) == (truth[Outcome.OK], 120)
    assert result.ttft is not None
    assert result.ttft.n == len(fine(seen)) == truth[Outcome.OK]


def test_a_full_queue_is_busy() -> None:
    size = replace(MODEL, parallel=1)
    seen = run_load(Behaviour((size,), max_waiting=2), LoadCase(6, 6))
    outcomes = Counter(s.record.outcome for s in seen)
    assert outcomes == Counter(s.truth.outcome for s in seen)
    assert outcomes[Outcome.BUSY] == 3


def test_ability_matches_the_server_and_grows_with_size() -> None:
    answers = {f"p{i}": f"The answer is {i}" for i in range(80)}
    small, large = replace(QUICK, ability=0.3), replace(QUICK, ability=0.7)
    right = []
    for size in (small, large):
        seen = run_load(Behaviour((size,), answers=answers), LoadCase(8, 80))
        known = {s.record.planned.prompt for s in seen if s.truth.right}
        correct = {
            s.record.planned.prompt
            for s in seen
            if s.record.text == answers[s.record.planned.prompt]
        }
        assert correct == known
        assert 0 < abs(len(known) / 80 - size.ability) < 0.15 or len(known) == 80 * size.ability
        right.append(known)
    assert right[0] < right[1]
