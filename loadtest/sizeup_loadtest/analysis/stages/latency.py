"""From the records of requests to the metrics of a stage. Pure.

Per request, with t_sched the scheduled and t_send the actual send time, t_1 and t_n the first and
last chunk with content, t_end the end of the stream and N the output tokens:

    ttft = t_1 - t_send            ttft_sched = t_1 - t_sched       answer_ttft = t_a - t_send
    tpot = (t_n - t_1) / (N - k)   itl = gaps between chunks
    e2e = t_end - t_send           e2e_sched = t_end - t_sched      norm_latency = e2e / N

with t_a the first chunk of the answer, after thinking, and k the tokens of the first chunk.
The `_sched` variants are corrected for coordinated omission, and include the waits before retries
(429). A metric that is undefined for a request (tpot of one token, any of a failed request) is left
out, never 0. So are requests of a closed loop's ramp-up and ramp-down (`throughput.without_ramps`),
which ran at lower concurrency, and those of an open loop before its steady state (`open_loop`).
Rates are in `throughput`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Literal

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import open_loop, throughput, turns
from sizeup_loadtest.analysis.stages.blocks import Blocks, by_block, distribution, mean
from sizeup_loadtest.config.schema import Mode, Slo
from sizeup_loadtest.data.record import Outcome, Record, ServerTimes
from sizeup_loadtest.data.results import (
    Distribution,
    LatencyBreakdown,
    Proportion,
    StageResult,
)
from sizeup_loadtest.workload.schedule import Stage

_NS = 1e-9
_MIN_TPOT = 1e-4
"""Seconds per token below which a response whose text arrived at once was not streamed: no server
generates 10,000 tokens/s for one user."""
_RELOAD_SECONDS = 1.0
_RELOAD_FACTOR = 5
"""A preload request slower than both (seconds; multiples of the median TTFT) loaded the model."""


def ttft(record: Record) -> float | None:
    """Time to first token, in seconds from sending."""
    return _first_chunk_since(record, record.sent_ns)


def ttft_sched(record: Record) -> float | None:
    """Time to first token, in seconds from the scheduled time."""
    return _first_chunk_since(record, record.scheduled_ns)


def answer_ttft(record: Record) -> float | None:
    """Time to the first token of the answer, apart from thinking."""
    if record.outcome is not Outcome.OK or record.answer_ns is None:
        return None
    return (record.answer_ns - record.sent_ns) * _NS


def _first_chunk_since(record: Record, start_ns: int) -> float | None:
    if record.outcome is not Outcome.OK or not record.chunk_ns:
        return None
    return (record.chunk_ns[0] - start_ns) * _NS


def tpot(record: Record) -> float | None:
    """Seconds per output token after those of the first chunk; None without any or unstreamed.

    A response that arrived at once, even as several chunks in one read, has no token pace. The
    last token is at the finish reason, because tokens without text have no chunk of their own.
    """
    after = (record.completion_tokens or 0) - first_tokens(record)
    if record.outcome is not Outcome.OK or after < 1 or not record.chunk_ns:
        return None
    last = max(record.chunk_ns[-1], record.finished_ns or 0)
    pace = (last - record.chunk_ns[0]) * _NS / after
    at_once = record.chunk_ns[0] == record.chunk_ns[-1]
    return None if at_once and pace < _MIN_TPOT else pace


def first_tokens(record: Record) -> int:
    """Return the tokens of the first chunk: from the server, else k where every chunk has k.

    Every chunk has k tokens, the last one the rest, when that many tokens make that many chunks,
    and the output ends with the last of them, not with tokens that have no text. Else it has 1.
    """
    if record.first_tokens is not None:
        return record.first_tokens
    tokens, chunks = record.completion_tokens or 0, len(record.chunk_ns)
    if chunks < 2 or tokens <= chunks:
        return 1
    gap = (record.chunk_ns[-1] - record.chunk_ns[0]) / (chunks - 1)
    silent = (record.finished_ns or 0) - record.chunk_ns[-1] >= gap > 0
    each = ceil(tokens / chunks)
    return each if ceil(tokens / each) == chunks and not silent else 1


def e2e(record: Record) -> float | None:
    """End-to-end latency, in seconds from sending."""
    return (record.ended_ns - record.sent_ns) * _NS if record.outcome is Outcome.OK else None


def e2e_sched(record: Record) -> float | None:
    """End-to-end latency, in seconds from the scheduled time."""
    return (record.ended_ns - record.scheduled_ns) * _NS if record.outcome is Outcome.OK else None


def norm_latency(record: Record) -> float | None:
    """End-to-end latency per output token, in seconds."""
    seconds = e2e(record)
    if seconds is None or not record.completion_tokens:
        return None
    return seconds / record.completion_tokens


def meets_slo(record: Record, slo: Slo) -> bool:
    """Whether a request met the SLO; an error did not.

    TTFT counts from the schedule, so a late send by the client counts against it.
    """
    first, pace = ttft_sched(record), tpot(record)
    if first is None or first > slo.ttft_seconds:
        return False
    return pace is None or pace <= slo.tpot_seconds


def stage_result(load: Stage, records: Iterable[Record], slo: Slo) -> StageResult:
    """Compute every metric of one model under one load; ValueError without records.

    Warm-up requests only show whether the model had to be reloaded.
    """
    everything = tuple(records)
    counted = [r for r in everything if not r.planned.warm_up]
    if not counted:
        raise ValueError(f"{load.key}: no records")
    blocks, rates, state = measured(load, counted, slo)
    ok = [r for r in counted if r.outcome is Outcome.OK]
    pace, first = distribution(blocks, tpot), distribution(blocks, ttft)
    settled = state in (None, "steady")
    per_second = {
        name: intervals.ratio_of_sums([block[name] for block in rates]) for name in throughput.NAMES
    }
    return StageResult(
        stage=load.key,
        mode=load.mode,
        level=load.level,
        arrival=load.arrival,
        length=load.length,
        api=counted[0].api,
        n=len(counted),
        errors=dict(Counter(r.outcome.value for r in counted if r.outcome is not Outcome.OK)),
        prompt_tokens=mean(blocks, lambda r: r.prompt_tokens),
        completion_tokens=mean(blocks, lambda r: r.completion_tokens),
        counted_by=_counted_by(ok),
        ttft=first,
        ttft_sched=distribution(blocks, ttft_sched),
        answer_ttft=distribution(blocks, answer_ttft) if any(map(_thinks, ok)) else None,
        itl=_itl(blocks),
        tpot=pace,
        e2e=distribution(blocks, e2e),
        e2e_sched=distribution(blocks, e2e_sched),
        norm_latency=distribution(blocks, norm_latency),
        tok_s_user=pace.mean.reciprocal() if pace else None,
        attainment=attainment(load.mode, blocks, slo) if settled else None,
        load_state=state,
        frequent_errors=frequent_errors(counted),
        retries=sum(r.retries for r in counted),
        tokens_per_chunk=_tokens_per_chunk(ok),
        breakdown=_breakdown(blocks),
        short_outputs=sum(_is_short(r) for r in ok),
        truncated_prompts=sum(_is_truncated_prompt(r) for r in ok),
        cached_tokens=mean(blocks, lambda r: r.cached_tokens),
        cached_prompts=sum(_is_cached_prompt(r) for r in ok),
        reloads=_reloads(everything, first),
        turns=turns.by_turn(counted, ttft),
        out_tok_s=per_second["out_tok_s"],
        requests_s=per_second["requests_s"],
        goodput=per_second["goodput"] if settled else None,
    )


Measured = tuple[Blocks, Sequence[throughput.Rates], open_loop.LoadState | None]
"""Blocks, the rates of each, and the state of an open loop."""


def measured(load: Stage, records: Sequence[Record], slo: Slo) -> Measured:
    """Return what is measured of a stage's records, apart from ramps and settling."""
    return (_open_loop if load.mode == "open" else _closed)(load, records, slo)


def _closed(load: Stage, records: Sequence[Record], slo: Slo) -> Measured:
    sent = by_block(records)
    blocks = throughput.steady(sent)
    rates = [
        throughput.closed_rates(block, inner, int(load.level), lambda r: meets_slo(r, slo))
        for block, inner in zip(sent, blocks, strict=True)
    ]
    return blocks, rates, None


def _open_loop(load: Stage, records: Sequence[Record], slo: Slo) -> Measured:
    runs = by_block(records)
    state: open_loop.LoadState | None = None
    if load.arrival == "trace":  # its load varies as it was recorded
        parts = [open_loop.whole(run) for run in runs]
    else:
        parts = open_parts(records)
        states = {open_loop.state(run, load.level) for run in runs}
        state = next(s for s in ("saturated", "transient", "steady") if s in states)
    rates = [throughput.open_rates(part, lambda r: meets_slo(r, slo)) for part in parts]
    return [part.arrivals for part in parts], rates, state


def open_parts(records: Sequence[Record]) -> list[open_loop.Part]:
    """Return the blocks of an open loop: parts of one long stage, or each of several short ones."""
    runs = by_block(records)
    count = intervals.MIN_BLOCKS if len(runs) == 1 else 1
    return [part for run in runs for part in open_loop.parts(run, count)]


def attainment(mode: Mode, blocks: Blocks, slo: Slo) -> Proportion:
    """Return the fraction of requests within the SLO."""
    counts = [(sum(meets_slo(r, slo) for r in block), len(block)) for block in blocks]
    if mode == "open":
        return intervals.clustered_proportion([(k, n) for k, n in counts if n])
    return intervals.wilson(sum(k for k, _ in counts), sum(n for _, n in counts))


def frequent_errors(records: Iterable[Record], most: int = 3) -> tuple[tuple[str, int], ...]:
    """Return the most frequent error messages, with the number of requests."""
    failed = (r for r in records if r.outcome is not Outcome.OK)
    return tuple(Counter(r.error or r.outcome.value for r in failed).most_common(most))


def _thinks(record: Record) -> bool:
    return bool(record.chunk_ns) and (record.answer_ns or 0) > record.chunk_ns[0]


def _is_short(record: Record) -> bool:
    """Whether a fixed-length output ended early.

    Chunks may hold several tokens, so only the server's count or its finish reason is proof.
    """
    if record.planned.length != "fixed":
        return False
    if record.counted_by == "usage" and record.completion_tokens is not None:
        return record.completion_tokens < record.planned.max_tokens
    return record.finish_reason == "stop"


def _is_truncated_prompt(record: Record) -> bool:
    """Whether the server counted too few prompt tokens: a word is one token or more."""
    return record.prompt_tokens is not None and 2 * record.prompt_tokens < record.prompt_words


def _is_cached_prompt(record: Record) -> bool:
    """Whether most of the prefill was skipped; a chat template alone is a smaller part."""
    return 2 * (record.cached_tokens or 0) >= (record.prompt_tokens or 0) > 0


def _reloads(records: Sequence[Record], first: Distribution | None) -> int:
    """Count the blocks before which a preload request had to load the model."""
    usual = first.p50 or first.mean.value if first else 0.0
    limit = max(_RELOAD_SECONDS, _RELOAD_FACTOR * usual)
    return len({r.planned.block for r in records if r.planned.warm_up and (e2e(r) or 0.0) > limit})


def _itl(blocks: Blocks) -> Distribution | None:
    """Pool the gaps between chunks; n is the number of requests, whose gaps may be correlated."""
    requests = [[gaps for r in block if (gaps := _gaps(r))] for block in blocks]
    pooled = [[gap for gaps in block for gap in gaps] for block in requests]
    return intervals.distribution(pooled, [gaps for block in requests for gaps in block])


def _gaps(record: Record) -> list[float]:
    if record.outcome is not Outcome.OK:
        return []
    return [(later - earlier) * _NS for earlier, later in pairwise(record.chunk_ns)]


def _counted_by(records: Sequence[Record]) -> Literal["usage", "length", "chunks", "mixed"] | None:
    sources = {r.counted_by for r in records} - {None}
    return sources.pop() if len(sources) == 1 else ("mixed" if sources else None)


def _tokens_per_chunk(records: Sequence[Record]) -> float | None:
    known = [r for r in records if r.counted_by != "chunks" and r.chunk_ns and r.completion_tokens]
    chunks = sum(len(r.chunk_ns) for r in known)
    return sum(r.completion_tokens or 0 for r in known) / chunks if chunks else None


def _queue(record: Record, times: ServerTimes) -> int:
    """Return what the server's durations leave of the latency: queueing and network."""
    spent = times.load + times.prompt_eval + times.eval
    return max(0, record.ended_ns - record.sent_ns - spent)


_PHASES: Mapping[str, Callable[[Record, ServerTimes], int]] = {
    "load": lambda _, times: times.load,
    "queue": _queue,
    "prefill": lambda _, times: times.prompt_eval,
    "decode": lambda _, times: times.eval,
}


def _breakdown(blocks: Blocks) -> LatencyBreakdown | None:
    """Split the latency of requests for which the server reported durations."""
    timed = [
        [(r, r.server) for r in block if r.server is not None and r.outcome is Outcome.OK]
        for block in blocks
    ]
    if not any(timed):
        return None
    return LatencyBreakdown.model_validate({
        name: intervals.distribution([[phase(*one) * _NS for one in block] for block in timed])
        for name, phase in _PHASES.items()
    })  # fmt: skip
