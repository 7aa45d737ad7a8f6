"""Conversations, shared prefixes and traces arrive at the mock server as planned."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from loadtest.mock import Behaviour
from loadtest.truth.against_mock import MODEL, RESOLUTION, run_plan
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.config.schema import Config, Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import StageResult
from sizeup_loadtest.workload.schedule import Stage

QUICK = replace(MODEL, ttft_seconds=0.002, gap_seconds=0.0005, parallel=64, tokens=4)
CACHING = Behaviour((QUICK,), prefix_cache=True)


def config(**keys: Any) -> Config:
    load = {"blocks": 1, "warmup": 0, "closed": [2], "requests_per_block": 12} | keys.pop(
        "load", {}
    )
    return Config.model_validate({"models": ["m"], "length": "until_eos", "load": load, **keys})


def stage(records: list[Record]) -> StageResult:
    load = Stage("s", "closed", 2, "until_eos")
    return latency.stage_result(load, records, Slo())


@pytest.mark.parametrize(
    "load",
    [{}, {"closed": [], "open": {"arrival": "constant", "rates": [20.0], "max_seconds": 0.2}}],
)
def test_a_conversation_is_sent_with_the_answers_of_the_server(load: dict[str, Any]) -> None:
    made = config(prompts={"set": "text", "words": [20], "turns": 3}, load=load)
    records, served = run_plan(made, CACHING)
    prompts = [request.prompt for request in served]
    by_turn = [[p for p in prompts if p.count("t0 t1 t2 t3") == turn] for turn in range(3)]
    assert len(set(map(len, by_turn))) == 1
    assert all(any(q.startswith(p + "\nt0 t1 t2 t3 \n") for q in by_turn[1]) for p in by_turn[0])
    turns = stage(records).turns
    assert [t.n for t in turns] == [len(prompts) / 3] * 3
    # 20 words a turn and 4 of the answer; the prompt of the turn before is in the cache
    assert [t.prompt_tokens and t.prompt_tokens.value for t in turns] == [20, 44, 68]
    assert [t.cached_tokens and t.cached_tokens.value for t in turns[1:]] == [20, 44]


def test_a_conversation_by_ollamas_api() -> None:
    made = config(prompts={"turns": 3}, target={"api": "ollama"})
    records, served = run_plan(made, CACHING)
    answers = Counter(request.prompt.count("t0 t1 t2 t3") for request in served)
    assert answers == {turn: len(records) / 3 for turn in range(3)}


def test_a_conversation_ends_where_a_turn_fails() -> None:
    behaviour = Behaviour((QUICK,), failures={Outcome.FAILED: 0.3})
    made = config(prompts={"turns": 3}, load={"requests_per_block": 60})
    records, served = run_plan(made, behaviour)
    assert Counter(r.outcome for r in records) == Counter(r.outcome for r in served)
    failed = [r.planned for r in records if r.outcome is not Outcome.OK]
    sent = {(r.planned.conversation, r.planned.turn) for r in records}
    assert failed
    assert not any((plan.conversation, plan.turn + 1) in sent for plan in failed)
    assert sum(turn.failed for turn in stage(records).turns) == len(failed)


def test_a_shared_prefix_is_cached_once_per_group() -> None:
    prefix = {"words": 40, "groups": 3}
    prompts = {"set": "text", "words": [10], "shared_prefix": prefix}
    made = config(prompts=prompts, load={"closed": [1]})
    records, _ = run_plan(made, CACHING)
    cached = [record.cached_tokens or 0 for record in records]
    assert {record.prompt_tokens for record in records} == {50}
    assert sum(count >= 40 for count in cached) == len(records) - 3
    found = stage(records).cached_tokens
    assert found is not None
    assert found.value == pytest.approx(fmean(cached))


@pytest.mark.parametrize("length", ["fixed", "until_eos"])
def test_a_trace_sets_arrivals_and_lengths(tmp_path: Path, length: str) -> None:
    rows = [(0.0, 130, 3), (0.05, 65, 9), (0.06, 13, 2), (0.2, 26, 5)]
    text = "".join(f"{seconds},{prompt},{output}\n" for seconds, prompt, output in rows)
    (tmp_path / "t.csv").write_text(f"seconds,prompt_tokens,completion_tokens\n{text}")
    trace = {"file": str(tmp_path / "t.csv"), "format": "csv"}
    made = config(load={"closed": [], "trace": trace}, length=length)
    records, served = run_plan(made, Behaviour((QUICK,)))
    assert [r.prompt_tokens for r in served] == [100, 50, 10, 20]
    expected = [3, 9, 2, 5] if length == "fixed" else [3, 4, 2, 4]  # the model ends at 4
    assert [r.tokens for r in served] == expected
    assert sorted(r.completion_tokens or 0 for r in records) == sorted(expected)
    gaps = [b.scheduled_ns - a.scheduled_ns for a, b in pairwise(_by_index(records))]
    assert gaps == [50_000_000, 10_000_000, 140_000_000]
    span = (served[-1].arrived_ns - served[0].arrived_ns) / 1e9
    assert span > 0.2 - RESOLUTION


def test_output_lengths_of_a_distribution_are_sent() -> None:
    lengths = {"distribution": "uniform", "min": 2, "max": 30}
    made = config(max_tokens=lengths, length="fixed", load={"requests_per_block": 40})
    records, served = run_plan(made, Behaviour((QUICK,)))
    planned = Counter(r.planned.max_tokens for r in records)
    assert planned == Counter(request.tokens for request in served)
    assert len(planned) > 10
    assert stage(records).short_outputs == 0


def _by_index(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda r: r.planned.index)
