from dataclasses import dataclass, replace
from random import Random

import pytest

from loadtest.recording import MS, failed, record
from sizeup_loadtest import measure
from sizeup_loadtest.measure import Load, Window
from sizeup_loadtest.record import Outcome, Record, ServerTimes


@dataclass(frozen=True)
class Slo:
    ttft_seconds: float = 0.2
    tpot_seconds: float = 0.02


CLOSED = Load("closed-1", "closed", 1, "forced", "openai")


def in_turn(blocks: int = 6, requests: int = 4) -> list[Record]:
    """One stream after the other: 200 ms each, 11 tokens, of them 100 ms to the first."""
    return [
        record(i, block=b, sent=200 * (b * requests + i), tail=0)
        for b in range(blocks)
        for i in range(requests)
    ]


def test_the_definitions() -> None:
    made = record(late=30)
    assert measure.ttft(made) == pytest.approx(0.1)
    assert measure.ttft_sched(made) == pytest.approx(0.13)
    assert measure.tpot(made) == pytest.approx(0.01)
    assert measure.e2e(made) == pytest.approx(0.205)
    assert measure.e2e_sched(made) == pytest.approx(0.235)
    assert measure.norm_latency(made) == pytest.approx(0.205 / 11)


def test_tokens_and_chunks_are_not_the_same() -> None:
    made = record(tokens=21, chunks=11)
    assert measure.tpot(made) == pytest.approx(0.1 / 20)


def test_the_last_token_is_where_the_finish_reason_is() -> None:
    """An answer whose last 10 of 21 tokens have no text: 100 ms more, and the same pace."""
    made = replace(record(tokens=11), completion_tokens=21)
    assert measure.tpot(made) == pytest.approx(0.005)
    silent = replace(made, finished_ns=made.chunk_ns[-1] + 100 * MS)
    assert measure.tpot(silent) == pytest.approx(0.01)


@pytest.mark.parametrize("made", [record(tokens=1), record(tokens=9, chunks=1), record(tokens=0)])
def test_an_answer_without_a_second_moment_has_no_pace(made: Record) -> None:
    assert measure.tpot(made) is None


def test_an_error_gives_no_times_and_misses_the_objective() -> None:
    made = failed(record(), Outcome.TRUNCATED)
    figures = (measure.ttft, measure.ttft_sched, measure.tpot, measure.e2e, measure.norm_latency)
    assert [figure(made) for figure in figures] == [None] * 5
    assert not measure.meets(made, Slo())


def test_the_objective_counts_from_the_schedule() -> None:
    assert measure.meets(record(late=90), Slo())
    assert not measure.meets(record(late=110), Slo())
    assert not measure.meets(record(gap=21), Slo())
    assert measure.meets(record(tokens=1), Slo())


def test_a_stage_says_what_happened() -> None:
    records = [record(99, warm_up=True, first=5000), *in_turn()]
    result = measure.stage_result(CLOSED, records, Slo(), Random(1))
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
    assert result.itl.n == 240
    assert result.tokens_per_chunk == 1
    assert result.split is None


def test_errors_are_counted_by_class_and_lower_attainment() -> None:
    records = in_turn()
    records[3] = failed(records[3], Outcome.BUSY)
    records[9] = failed(records[9], Outcome.TIMEOUT)
    result = measure.stage_result(CLOSED, records, Slo(), Random(1))
    assert result.errors == {"busy": 1, "timeout": 1}
    assert result.attainment is not None
    assert (result.attainment.successes, result.attainment.n) == (22, 24)
    assert result.goodput is not None
    assert result.requests_s is not None
    assert result.goodput.value == result.requests_s.value < 5


def test_a_stage_without_records_is_an_error() -> None:
    with pytest.raises(ValueError, match="closed-1"):
        measure.stage_result(CLOSED, [record(warm_up=True)], Slo(), Random(1))


def test_the_window_of_a_closed_loop_is_when_all_workers_are_busy() -> None:
    """Two workers; the second begins 50 ms later, and the first ends 20 ms before the second."""
    records = [
        record(0, sent=0, tail=0),
        record(1, sent=50, tail=0),
        record(2, sent=200, tail=0),
        record(3, sent=250, first=90, tail=0),
    ]
    load = replace(CLOSED, level=2)
    assert measure.steady_window(records, load) == Window(50 * MS, 400 * MS)


def test_the_window_of_an_open_loop_is_its_schedule() -> None:
    records = [record(i, sent=100 * i + 7, late=7) for i in range(5)]
    load = Load("open-10", "open", 10, "forced", "openai", "constant")
    assert measure.steady_window(records, load) == Window(0, 500 * MS)


def test_tokens_outside_the_window_do_not_count() -> None:
    made = record()
    assert measure.tokens_inside(made, Window(0, 150 * MS)) == 6
    assert measure.tokens_inside(record(tokens=22, chunks=11), Window(0, 150 * MS)) == 12


def test_the_servers_own_durations_split_an_answer() -> None:
    server = ServerTimes(total=200 * MS, load=10 * MS, prompt_eval=60 * MS, eval=100 * MS)
    records = [replace(r, server=server) for r in in_turn()]
    split = measure.stage_result(CLOSED, records, Slo(), Random(1)).split
    assert split is not None
    parts = (split.load, split.queue, split.prefill, split.decode)
    assert [part.p50 for part in parts] == [pytest.approx(v) for v in (0.01, 0.03, 0.06, 0.1)]


def test_sizes_are_compared_request_by_request() -> None:
    small, large = in_turn(), [replace(r, chunk_ns=_slower(r)) for r in in_turn()]
    large.append(record(77, gap=900))
    found = measure.paired("a", "b", "closed-1", small, large, Random(1))
    assert found.tpot_ratio is not None
    assert found.tpot_ratio.value == pytest.approx(2)
    assert found.ttft_ratio is not None
    assert found.ttft_ratio.value == pytest.approx(1)


def _slower(made: Record) -> tuple[int, ...]:
    first = made.chunk_ns[0]
    return tuple(first + 2 * (moment - first) for moment in made.chunk_ns)
