"""From the records of requests to the metrics of a stage. Pure.

Per request, with t_sched the scheduled and t_send the actual send time, t_1 and t_n the first and
last chunk with content, t_end the end of the stream and N the output tokens:

    ttft = t_1 - t_send            ttft_sched = t_1 - t_sched
    tpot = (t_n - t_1) / (N - 1)   itl = gaps between chunks
    e2e = t_end - t_send           e2e_sched = t_end - t_sched      norm_latency = e2e / N

The `_sched` variants are corrected for coordinated omission. A metric that is undefined for a
request (tpot of one token, any of a failed request) is left out, never 0. So are requests of a
closed loop's ramp-up and ramp-down (`throughput.ramp_indices`), which ran at lower concurrency.
Rates are in `throughput`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sizeup_loadtest.analysis import intervals, throughput, turns
from sizeup_loadtest.config.schema import Arrival, Mode, Slo
from sizeup_loadtest.data.record import Api, Length, Outcome, Record
from sizeup_loadtest.data.results import (
    Distribution,
    Estimate,
    LatencyBreakdown,
    Paired,
    StageResult,
)

_NS = 1e-9
_MIN_TPOT = 1e-4
"""Seconds per token below which a response whose text arrived at once was not streamed: no server
generates 10,000 tokens/s for one user."""
_RELOAD_SECONDS = 1.0
_RELOAD_FACTOR = 5
"""A preload request slower than both (seconds; multiples of the median TTFT) loaded the model."""


@dataclass(frozen=True, slots=True)
class StageLoad:
    stage: str
    mode: Mode
    level: float
    """Concurrent requests, or requests per second."""
    length: Length
    api: Api
    arrival: Arrival | None = None


Metric = Callable[[Record], float | None]


def ttft(record: Record) -> float | None:
    """Time to first token, in seconds from sending."""
    return _first_chunk_since(record, record.sent_ns)


def ttft_sched(record: Record) -> float | None:
    """Time to first token, in seconds from the scheduled time."""
    return _first_chunk_since(record, record.scheduled_ns)


def _first_chunk_since(record: Record, start_ns: int) -> float | None:
    if record.outcome is not Outcome.OK or not record.chunk_ns:
        return None
    return (record.chunk_ns[0] - start_ns) * _NS


def tpot(record: Record) -> float | None:
    """Seconds per output token after the first; None below two tokens or without streaming.

    A response that arrived at once, even as several chunks in one read, has no token pace. The
    last token is at the finish reason, because tokens without text have no chunk of their own.
    """
    tokens = record.completion_tokens or 0
    if record.outcome is not Outcome.OK or tokens < 2 or not record.chunk_ns:
        return None
    last = max(record.chunk_ns[-1], record.finished_ns or 0)
    pace = (last - record.chunk_ns[0]) * _NS / (tokens - 1)
    at_once = record.chunk_ns[0] == record.chunk_ns[-1]
    return None if at_once and pace < _MIN_TPOT else pace


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


Blocks = Mapping[int, Sequence[Record]]


def stage_result(load: StageLoad, records: Iterable[Record], slo: Slo) -> StageResult:
    """Compute every metric of one model under one load; ValueError without records.

    Warm-up requests only show whether the model had to be reloaded.
    """
    everything = tuple(records)
    counted = [r for r in everything if not r.planned.warm_up]
    if not counted:
        raise ValueError(f"{load.stage}: no records")
    sent = by_block(counted)
    blocks = dict(zip(sent, throughput.steady([*sent.values()]), strict=True))
    steady = [record for group in blocks.values() for record in group]
    ok = [r for r in counted if r.outcome is Outcome.OK]
    pace, first = _distribution(blocks, tpot), _distribution(blocks, ttft)
    return StageResult(
        stage=load.stage,
        mode=load.mode,
        level=load.level,
        arrival=load.arrival,
        length=load.length,
        api=load.api,
        n=len(counted),
        errors=dict(Counter(r.outcome.value for r in counted if r.outcome is not Outcome.OK)),
        prompt_tokens=mean(blocks, lambda r: r.prompt_tokens),
        completion_tokens=mean(blocks, lambda r: r.completion_tokens),
        counted_by=_counted_by(ok),
        ttft=first,
        ttft_sched=_distribution(blocks, ttft_sched),
        itl=_itl(blocks),
        tpot=pace,
        e2e=_distribution(blocks, e2e),
        e2e_sched=_distribution(blocks, e2e_sched),
        norm_latency=_distribution(blocks, norm_latency),
        tok_s_user=None if pace is None else _inverse(pace.mean),
        attainment=intervals.wilson(sum(meets_slo(r, slo) for r in steady), len(steady)),
        tokens_per_chunk=_tokens_per_chunk(ok),
        breakdown=_breakdown(blocks),
        short_outputs=sum(_is_short(r) for r in ok),
        truncated_prompts=sum(_is_truncated_prompt(r) for r in ok),
        cached_tokens=mean(blocks, lambda r: r.cached_tokens),
        cached_prompts=sum(_is_cached_prompt(r) for r in ok),
        reloads=_reloads(everything, first),
        turns=turns.by_turn(sent, ttft),
        **_rates(load, [*sent.values()], slo),
    )


def _rates(
    load: StageLoad, blocks: Sequence[Sequence[Record]], slo: Slo
) -> dict[str, Estimate | None]:
    rates = throughput.rates(blocks, load.mode, load.level, lambda r: meets_slo(r, slo))
    return {
        name: intervals.ratio_of_sums(dict(enumerate(block[name] for block in rates)))
        for name in throughput.NAMES
    }


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


def by_block(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Group records by block, in order."""
    blocks: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        blocks[record.planned.block].append(record)
    return dict(sorted(blocks.items()))


def _values(blocks: Blocks, metric: Metric) -> dict[int, list[float]]:
    return {b: [v for r in group if (v := metric(r)) is not None] for b, group in blocks.items()}


def _distribution(blocks: Blocks, metric: Metric) -> Distribution | None:
    return intervals.distribution(_values(blocks, metric))


def mean(blocks: Blocks, metric: Metric) -> Estimate | None:
    """Estimate the mean of a metric over the requests that succeeded."""
    ok = {b: [r for r in group if r.outcome is Outcome.OK] for b, group in blocks.items()}
    return intervals.mean_estimate(_values(ok, metric))


def _inverse(estimate: Estimate) -> Estimate | None:
    """Turn seconds per token into tokens per second; the ends of the interval swap."""
    if estimate.value <= 0:
        return None
    low, high = (1 / end if end else None for end in (estimate.high, estimate.low))
    return Estimate(value=1 / estimate.value, low=low, high=high)


def _itl(blocks: Blocks) -> Distribution | None:
    """Pool the gaps between chunks; n is the number of requests, whose gaps are correlated."""
    gaps = {b: [gap for r in group for gap in _gaps(r)] for b, group in blocks.items()}
    requests = sum(bool(_gaps(r)) for group in blocks.values() for r in group)
    return intervals.distribution(gaps, requests)


def _gaps(record: Record) -> list[float]:
    if record.outcome is not Outcome.OK:
        return []
    return [(later - earlier) * _NS for earlier, later in pairwise(record.chunk_ns)]


def _counted_by(records: Sequence[Record]) -> Literal["usage", "chunks", "mixed"] | None:
    sources = {r.counted_by for r in records} - {None}
    return sources.pop() if len(sources) == 1 else ("mixed" if sources else None)


def _tokens_per_chunk(records: Sequence[Record]) -> float | None:
    known = [r for r in records if r.counted_by == "usage" and r.chunk_ns and r.completion_tokens]
    chunks = sum(len(r.chunk_ns) for r in known)
    return sum(r.completion_tokens or 0 for r in known) / chunks if chunks else None


def _breakdown(blocks: Blocks) -> LatencyBreakdown | None:
    """Split the latency of requests for which the server reported durations."""

    def part(of: Callable[[Record], int]) -> Distribution | None:
        known = {
            b: [of(r) * _NS for r in group if r.server is not None and r.outcome is Outcome.OK]
            for b, group in blocks.items()
        }
        return intervals.distribution(known)

    load = part(lambda r: r.server.load if r.server else 0)
    prefill = part(lambda r: r.server.prompt_eval if r.server else 0)
    decode = part(lambda r: r.server.eval if r.server else 0)
    queue = part(_queue_ns)
    if load is None or prefill is None or decode is None or queue is None:
        return None
    return LatencyBreakdown(load=load, queue=queue, prefill=prefill, decode=decode)


def _queue_ns(record: Record) -> int:
    """Return what the server's durations leave of the latency: queueing and network."""
    if record.server is None:
        return 0
    spent = record.server.load + record.server.prompt_eval + record.server.eval
    return max(0, record.ended_ns - record.sent_ns - spent)


def paired(
    a: str, b: str, stage: str | None, of_a: Iterable[Record], of_b: Iterable[Record]
) -> Paired:
    """Compare two models by request: the same prompt in the same block; ratios are b / a."""
    first, second = _by_request(of_a), _by_request(of_b)
    pairs = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]

    def ratio(metric: Metric) -> Estimate | None:
        ratios: dict[int, list[float]] = defaultdict(list)
        for one, other in pairs:
            below, above = metric(one), metric(other)
            if below and above:
                ratios[one.planned.block].append(above / below)
        return intervals.geometric_mean(ratios)

    return Paired(
        a=a, b=b, stage=stage, tpot_ratio=ratio(tpot), ttft_ratio=ratio(ttft), e2e_ratio=ratio(e2e)
    )


def _by_request(records: Iterable[Record]) -> dict[tuple[str, int, int], Record]:
    """Index steady-state records by stage, block and index, which all models share."""
    result: dict[tuple[str, int, int], Record] = {}
    groups: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in records:
        if not record.planned.warm_up:
            groups[record.stage, record.planned.block].append(record)
    for (stage, block), group in groups.items():
        ramp = throughput.ramp_indices(group)
        result |= {(stage, block, i): r for r in group if (i := r.planned.index) not in ramp}
    return result
