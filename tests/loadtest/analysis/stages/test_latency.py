from dataclasses import replace
from itertools import accumulate

import pytest

from loadtest.recording import MS, failed, record
from sizeup_loadtest.analysis.comparison import pairing
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome, Record, ServerTimes
from sizeup_loadtest.data.results import Estimate
from sizeup_loadtest.workload.schedule import Stage

SLO = Slo(ttft_seconds=0.2, tpot_seconds=0.02)
CLOSED = Stage("closed-1", "closed", 1, "fixed")


def sequential(blocks: int = 6, requests: int = 4) -> list[Record]:
    """Sequential streams of 200 ms and 11 tokens each, with a TTFT of 100 ms."""
    return [
        record(i, block=b, sent=200 * (b * requests + i), tail=0)
        for b in range(blocks)
        for i in range(requests)
    ]


def test_the_definitions() -> None:
    made = record(late=30)
    assert latency.ttft(made) == pytest.approx(0.1)
    assert latency.ttft_sched(made) == pytest.approx(0.13)
    assert latency.tpot(made) == pytest.approx(0.01)
    assert latency.e2e(made) == pytest.approx(0.205)
    assert latency.e2e_sched(made) == pytest.approx(0.235)
    assert latency.norm_latency(made) == pytest.approx(0.205 / 11)


def test_tokens_are_not_chunks() -> None:
    made = record(tokens=25, chunks=11)
    assert latency.tpot(made) == pytest.approx(0.1 / 24)


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (record(tokens=32, chunks=8), 4),
        (record(tokens=31, chunks=8), 4),
        (record(tokens=33, chunks=8), 1),
        (record(tokens=32, chunks=32), 1),
        (replace(record(tokens=32, chunks=10), first_tokens=5), 5),
        (replace(record(tokens=32, chunks=31), first_tokens=2), 2),
    ],
)
def test_tokens_of_the_first_chunk_are_not_in_tpot(made: Record, first: int) -> None:
    assert latency.first_tokens(made) == first
    span = (made.chunk_ns[-1] - made.chunk_ns[0]) / 1e9
    assert latency.tpot(made) == pytest.approx(span / ((made.completion_tokens or 0) - first))


def test_the_last_token_is_at_the_finish_reason() -> None:
    """The last 10 of 21 tokens have no text and take another 100 ms."""
    made = replace(record(tokens=11), completion_tokens=21)
    silent = replace(made, finished_ns=made.chunk_ns[-1] + 100 * MS)
    assert latency.tpot(silent) == pytest.approx(0.01)


@pytest.mark.parametrize("made", [record(tokens=1), record(tokens=9, chunks=1), record(tokens=0)])
def test_a_response_with_one_timestamp_has_no_tpot(made: Record) -> None:
    assert latency.tpot(made) is None


def test_one_token_of_text_still_has_a_tpot() -> None:
    made = record(tokens=11, chunks=1)
    slow = replace(made, finished_ns=made.chunk_ns[0] + 500 * MS)
    assert latency.tpot(slow) == pytest.approx(0.05)
    assert not latency.meets_slo(slow, SLO)


def test_an_unstreamed_response_has_no_tpot() -> None:
    made = record(tokens=11, chunks=1)
    assert latency.tpot(replace(made, finished_ns=made.chunk_ns[0] + MS // 5)) is None


def test_an_error_has_no_latency_and_misses_the_slo() -> None:
    made = failed(record(), Outcome.TRUNCATED)
    figures = (latency.ttft, latency.ttft_sched, latency.tpot, latency.e2e, latency.norm_latency)
    assert [figure(made) for figure in figures] == [None] * 5
    assert not latency.meets_slo(made, SLO)


def test_the_slo_counts_from_the_schedule() -> None:
    assert latency.meets_slo(record(late=90), SLO)
    assert not latency.meets_slo(record(late=110), SLO)
    assert not latency.meets_slo(record(gap=21), SLO)
    assert latency.meets_slo(record(tokens=1), SLO)


def test_the_result_of_a_stage() -> None:
    records = [record(99, warm_up=True, first=5000), *sequential()]
    result = latency.stage_result(CLOSED, records, SLO)
    assert (result.n, result.errors, result.counted_by) == (24, {}, "usage")
    assert result.ttft is not None
    assert (result.ttft.n, result.ttft.p95) == (24, None)
    assert result.ttft.p50 == pytest.approx(0.1)
    assert result.tok_s_user is not None
    assert result.tok_s_user.value == pytest.approx(100)
    assert result.out_tok_s is not None
    assert result.out_tok_s.value == pytest.approx(11 / 0.2)
    assert result.requests_s is not None
    assert result.requests_s.value == pytest.approx(5)
    assert result.itl is not None
    assert result.itl.n == 24
    assert result.itl.p90 == pytest.approx(0.01)
    assert result.tokens_per_chunk == 1
    assert result.breakdown is None


def test_errors_are_counted_by_class_and_lower_attainment() -> None:
    records = sequential()
    records[3] = failed(records[3], Outcome.BUSY)
    records[9] = failed(records[9], Outcome.TIMEOUT)
    result = latency.stage_result(CLOSED, records, SLO)
    assert result.errors == {"busy": 1, "timeout": 1}
    assert result.attainment is not None
    assert (result.attainment.successes, result.attainment.n) == (22, 24)
    assert result.goodput is not None
    assert result.requests_s is not None
    assert result.goodput.value == result.requests_s.value < 5


def test_ramp_requests_are_excluded() -> None:
    """They are slower here, and would show."""
    records = [
        record(i, block=b, sent=200 * i, first=150 if ramp else 100, ramp=ramp)
        for b in range(5)
        for i, ramp in enumerate((True, False, False, True))
    ]
    records[0] = failed(records[0], Outcome.BUSY)
    result = latency.stage_result(CLOSED, records, SLO)
    assert (result.n, result.errors) == (20, {"busy": 1})
    assert result.ttft is not None
    assert result.ttft.n == 10
    assert result.ttft.high == pytest.approx(0.1)
    assert result.attainment is not None
    assert result.attainment.n == 10
    assert pairing.paired("a", "a", "s", records, records).tpot_ratio == Estimate(
        value=1, low=1, high=1
    )


def test_ramp_requests_count_where_few_others_exist() -> None:
    """With concurrency 7, six requests are ramp-up and six ramp-down."""
    for sent, counted in ((14, 14), (17, 17), (18, 6)):
        made = [record(i, sent=200 * i, ramp=i < 6) for i in range(sent)]
        result = latency.stage_result(CLOSED, made, SLO)
        assert result.ttft is not None
        assert result.ttft.n == counted


def test_ramp_down_is_the_last_requests_sent() -> None:
    """The last requests planned were not sent; the last two sent ran at lower concurrency."""
    records = [
        record(i, block=b, sent=100 * i, first=50 if i > 9 else 100, ramp=i < 2 or i > 50)
        for b in range(5)
        for i in range(12)
    ]
    result = latency.stage_result(CLOSED, records, SLO)
    assert result.ttft is not None
    assert result.ttft.n == 5 * 8
    assert result.ttft.low == pytest.approx(0.1)
    full = [record(i, block=b, sent=100 * i, ramp=i < 2) for b in range(5) for i in range(20)]
    ratio = pairing.paired("a", "a", "s", records, full).ttft_ratio
    assert ratio == Estimate(value=1, low=1, high=1)


def test_several_chunks_in_one_read_have_no_tpot() -> None:
    at_once = record(tokens=11, gap=0, tail=0)
    assert latency.tpot(at_once) is None
    later = replace(at_once, finished_ns=at_once.chunk_ns[0] + 100 * MS)
    assert latency.tpot(later) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("made", "short"),
    [
        (record(tokens=11), 0),
        (record(tokens=11, max_tokens=12), 1),
        (record(tokens=11, max_tokens=12, length="until_eos"), 0),
        (replace(record(tokens=11, max_tokens=12), counted_by="chunks"), 0),
        (replace(record(tokens=11, max_tokens=12), counted_by="chunks", finish_reason="stop"), 1),
    ],
)
def test_short_outputs_are_counted(made: Record, short: int) -> None:
    assert latency.stage_result(CLOSED, [made], SLO).short_outputs == short


def test_truncated_prompts_are_counted() -> None:
    """Seven tokens were read."""
    records = [replace(record(i), prompt_words=words) for i, words in enumerate((7, 14, 15))]
    assert latency.stage_result(CLOSED, records, SLO).truncated_prompts == 1


def test_prompts_from_the_prefix_cache_are_counted() -> None:
    """Seven tokens each."""
    records = [replace(record(i), cached_tokens=n) for i, n in enumerate((None, 0, 3, 4, 7))]
    result = latency.stage_result(CLOSED, records, SLO)
    assert result.cached_prompts == 2
    assert result.cached_tokens is not None
    assert result.cached_tokens.value == 14 / 4


def test_reloads_before_a_block_are_counted() -> None:
    """No load: below a second at a median of 100 ms, and five times a median of one second."""
    with_preload = [
        record(i, tokens=1, first=ms, tail=0, warm_up=True) for i, ms in enumerate((900, 1100))
    ]
    assert latency.stage_result(CLOSED, [*with_preload, *sequential()], SLO).reloads == 1
    slow = [record(i, first=1000, sent=2000 * i) for i in range(8)]
    assert latency.stage_result(CLOSED, [*with_preload, *slow], SLO).reloads == 0


def test_a_stage_without_records_is_an_error() -> None:
    with pytest.raises(ValueError, match="closed-1"):
        latency.stage_result(CLOSED, [record(warm_up=True)], SLO)


def test_the_latency_breakdown() -> None:
    server = ServerTimes(total=200 * MS, load=10 * MS, prompt_eval=60 * MS, eval=100 * MS)
    records = [replace(r, server=server) for r in sequential()]
    split = latency.stage_result(CLOSED, records, SLO).breakdown
    assert split is not None
    parts = (split.load, split.queue, split.prefill, split.decode)
    assert [part.p50 for part in parts] == [pytest.approx(v) for v in (0.01, 0.03, 0.06, 0.1)]


def test_models_are_paired_by_request() -> None:
    small, large = sequential(), [replace(r, chunk_ns=_slower(r)) for r in sequential()]
    large.append(record(77, gap=900))
    found = pairing.paired("a", "b", "closed-1", small, large)
    assert found.tpot_ratio is not None
    assert found.tpot_ratio.value == pytest.approx(2)
    assert found.ttft_ratio is not None
    assert found.ttft_ratio.value == pytest.approx(1)


def _slower(made: Record) -> tuple[int, ...]:
    first = made.chunk_ns[0]
    return tuple(first + 2 * (at_ns - first) for at_ns in made.chunk_ns)


def test_the_answer_begins_after_thinking() -> None:
    thinking = [replace(r, answer_ns=r.chunk_ns[5]) for r in sequential()]
    result = latency.stage_result(CLOSED, thinking, SLO)
    assert result.ttft is not None
    assert result.answer_ttft is not None
    assert result.ttft.p50 == pytest.approx(0.1)
    assert result.answer_ttft.p50 == pytest.approx(0.15)
    plain = [replace(r, answer_ns=r.chunk_ns[0]) for r in sequential()]
    assert latency.stage_result(CLOSED, plain, SLO).answer_ttft is None


def test_a_stall_in_two_percent_of_gaps_is_in_the_p99() -> None:
    """75 requests of 32 tokens, as the default of a stage: too few for a p99 of their TTFT."""
    made = []
    for i in range(75):
        gaps = [500 if (31 * i + j) % 50 == 0 else 20 for j in range(31)]
        at = [0, *accumulate(gaps)]
        one = record(i, sent=3000 * i, tokens=32)
        made.append(replace(one, chunk_ns=tuple(one.chunk_ns[0] + ms * MS for ms in at)))
    result = latency.stage_result(CLOSED, made, SLO)
    assert result.ttft is not None
    assert result.itl is not None
    assert result.ttft.p99 is None
    assert result.itl.p99 == pytest.approx(0.5)


def test_tokens_of_failed_requests_are_not_throughput() -> None:
    """Three of four end; each occupies its user for 200 ms."""
    records = [
        failed(r, Outcome.TRUNCATED) if i % 4 == 0 else r for i, r in enumerate(sequential())
    ]
    result = latency.stage_result(CLOSED, records, SLO)
    assert result.out_tok_s is not None
    assert result.out_tok_s.value == pytest.approx(0.75 * 11 / 0.2)


def test_frequent_errors_are_named_with_their_number() -> None:
    messages = [*["refused"] * 3, *["reset"] * 2, "odd", "rare"]
    bad = [
        replace(failed(record(i), Outcome.DISCONNECTED), error=m) for i, m in enumerate(messages)
    ]
    found = latency.stage_result(CLOSED, [*bad, record(9)], SLO).frequent_errors
    assert found == (("refused", 3), ("reset", 2), ("odd", 1))


def test_a_refused_user_is_in_flight_and_late_from_the_schedule() -> None:
    made = replace(record(late=1000), waited_ns=1000 * MS, retries=2)
    assert latency.ttft(made) == pytest.approx(0.1)
    assert latency.ttft_sched(made) == pytest.approx(1.1)
    assert made.begun_ns == made.scheduled_ns
    assert latency.stage_result(CLOSED, [made], SLO).retries == 2
