"""Latency metrics of the client match the timestamps of the mock server."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Literal

import pytest

from loadtest.mock import Behaviour, ServedRequest
from loadtest.truth.against_mock import MODEL, RESOLUTION, LoadCase, Seen, fine, off, run_load
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.analysis.stages.blocks import Metric
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Api, Outcome
from sizeup_loadtest.workload.schedule import Stage

APIS: list[Api] = ["openai", "ollama"]


def agree(seen: list[Seen]) -> None:
    """Check every chunk and every metric of every request."""
    for one in seen:
        assert one.record.outcome is Outcome.OK
        assert one.record.sent_ns <= one.truth.arrived_ns
        assert len(one.record.chunk_ns) == len(one.truth.written_ns)
        assert all(
            read >= wrote
            for read, wrote in zip(one.record.chunk_ns, one.truth.written_ns, strict=True)
        )
    figures: list[tuple[Metric, Callable[[ServedRequest], float]]] = [
        (latency.ttft, lambda a: a.ttft_seconds),
        (latency.e2e, lambda a: a.e2e_seconds),
        (latency.norm_latency, lambda a: a.e2e_seconds / a.tokens),
    ]
    for figure, truth in figures:
        assert off([(figure(s.record), truth(s.truth)) for s in seen]) < RESOLUTION
    pairs = [(latency.tpot(s.record), s.truth.tpot_seconds) for s in seen]
    # The errors of two chunks are spread over all gaps between them.
    assert off(pairs) < RESOLUTION / (seen[0].truth.tokens - seen[0].truth.first_tokens)


def agreeing(behaviour: Behaviour, load: LoadCase) -> list[Seen]:
    seen = run_load(behaviour, load)
    agree(seen)
    return seen


@pytest.mark.parametrize("api", APIS)
def test_one_stream(api: Api) -> None:
    seen = run_load(Behaviour((MODEL,)), LoadCase(1, 8, api=api))
    agree(seen)
    assert all((latency.ttft(s.record) or 0) >= MODEL.ttft_seconds for s in seen)


@pytest.mark.parametrize("api", APIS)
def test_jitter_comments_and_an_early_role_are_ignored(api: Api) -> None:
    size = replace(MODEL, jitter=0.8)
    seen = run_load(Behaviour((size,), role_early=True, comments=True), LoadCase(2, 8, api=api))
    agree(seen)
    # The early chunk arrives at once; counted as a token, it would give a TTFT near 0.
    assert all((latency.ttft(s.record) or 0) >= MODEL.ttft_seconds for s in seen)


def test_thinking_counts_as_tokens() -> None:
    agree(run_load(Behaviour((replace(MODEL, thinking=5),)), LoadCase(2, 6)))


def test_several_tokens_per_chunk() -> None:
    size = replace(MODEL, tokens_per_chunk=4)
    seen = run_load(Behaviour((size,)), LoadCase(2, 6))
    agree(seen)
    load = Stage("s", "closed", 2, "until_eos")
    result = latency.stage_result(
        load, [s.record for s in seen], Slo(ttft_seconds=10, tpot_seconds=10)
    )
    assert result.tokens_per_chunk == pytest.approx(13 / 4)
    assert result.counted_by == "usage"
    assert result.itl is not None
    assert result.itl.n == len(seen)


@pytest.mark.parametrize("usage", ["wanted", "never", "continuous"])
def test_four_tokens_a_chunk_have_the_same_tpot(
    usage: Literal["wanted", "never", "continuous"],
) -> None:
    """Without usage the tokens are those of the fixed length, where the output ended by it."""
    size = replace(MODEL, tokens_per_chunk=4)
    load = LoadCase(2, 6, length="fixed", max_tokens=32)
    for one in agreeing(Behaviour((size,), usage=usage), load):
        assert one.record.completion_tokens == 32
        assert one.record.counted_by == ("length" if usage == "never" else "usage")
        assert one.record.first_tokens == (4 if usage == "continuous" else None)
        assert latency.tpot(one.record) == pytest.approx(MODEL.gap_seconds, rel=0.3)


def test_chunks_that_are_counted_as_tokens_are_said_to_be() -> None:
    seen = run_load(Behaviour((replace(MODEL, tokens_per_chunk=4),), usage="never"), LoadCase(2, 4))
    assert {(s.record.completion_tokens, s.record.counted_by) for s in seen} == {(4, "chunks")}


@pytest.mark.parametrize(("api", "tags"), [("openai", False), ("openai", True), ("ollama", False)])
def test_the_first_token_of_the_answer_is_after_thinking(api: Api, tags: bool) -> None:
    behaviour = Behaviour((replace(MODEL, thinking=8),), think_tags=tags)
    for one in agreeing(behaviour, LoadCase(2, 6, api=api)):
        assert one.record.answer_ns == one.record.chunk_ns[8]
        assert one.truth.written_ns[8] <= one.record.answer_ns
    plain = run_load(Behaviour((MODEL,), think_tags=tags), LoadCase(2, 2, api=api))
    assert all(s.record.answer_ns == s.record.chunk_ns[0] for s in plain)


def test_above_the_slots_ttft_includes_queueing() -> None:
    seen = run_load(Behaviour((MODEL,)), LoadCase(6, 24))
    agree(seen)
    waited = [s for s in seen if s.truth.queue_seconds > MODEL.ttft_seconds]
    assert len(waited) > 12
    for one in waited:
        shown = latency.ttft(one.record)
        assert shown is not None
        assert shown >= one.truth.queue_seconds + MODEL.ttft_seconds


def test_above_capacity_ttft_from_schedule_grows() -> None:
    """Two slots of 140 ms serve 14 requests/s; 40 arrive within half a second."""
    seen = run_load(Behaviour((MODEL,)), LoadCase(40, 20, rate=True))
    agree(seen)
    for one in seen:
        late = (one.record.sent_ns - one.record.scheduled_ns) / 1e9
        assert late >= 0
        first, planned = latency.ttft(one.record), latency.ttft_sched(one.record)
        whole, from_plan = latency.e2e(one.record), latency.e2e_sched(one.record)
        assert None not in (first, planned, whole, from_plan)
        assert planned == pytest.approx((first or 0) + late)
        assert from_plan == pytest.approx((whole or 0) + late)
    waits = [s.truth.queue_seconds for s in seen]
    assert median(waits[-5:]) > median(waits[:5]) + 0.3
    grown = [latency.ttft_sched(s.record) or 0 for s in seen]
    assert median(grown[-5:]) > median(grown[:5]) + 0.3


def test_the_latency_breakdown_matches_the_server() -> None:
    size = replace(MODEL, load_seconds=0.2)
    seen = fine(run_load(Behaviour((size,)), LoadCase(4, 8, api="ollama")))
    assert len(seen) == 8
    for one in seen:
        server, truth = one.record.server, one.truth
        assert server is not None
        assert server.load == truth.load_ns
        begun = (truth.begun_ns or 0) + truth.load_ns
        assert server.prompt_eval == truth.written_ns[0] - begun
        assert server.eval == truth.written_ns[-1] - truth.written_ns[0]
        left = server.total - server.load - server.prompt_eval - server.eval
        assert left / 1e9 == pytest.approx(truth.queue_seconds, abs=1e-6)
    assert max(s.truth.load_ns for s in seen) >= 0.2e9
