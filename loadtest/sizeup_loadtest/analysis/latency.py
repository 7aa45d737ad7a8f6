"""From the records of requests to figures. Pure: no clock, no I/O.

Per request, with t_sched when it should have been sent, t_send when it was, t_1 and t_n the first
and last chunk with content, t_end the end of the stream and N the answer's tokens:

    ttft = t_1 - t_send            ttft_sched = t_1 - t_sched
    tpot = (t_n - t_1) / (N - 1)   itl = gaps between chunks
    e2e = t_end - t_send           e2e_sched = t_end - t_sched      norm_latency = e2e / N

A figure that a request cannot give (tpot of one token, any of a failed one) is left out, never 0.
So are requests that fill or empty a closed loop (`throughput.edges`): they met a smaller load. Rates
are in `throughput`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from sizeup_loadtest.analysis import intervals, throughput
from sizeup_loadtest.data.record import Api, Length, Outcome, Record
from sizeup_loadtest.data.results import (
    Distribution,
    Estimate,
    LatencyBreakdown,
    Paired,
    StageResult,
)

_NS = 1e-9
_LEAST_PACE = 1e-4
"""Seconds per token of an answer whose text came in one piece: with less, all of it came in one
piece, since no server writes 10,000 tokens a second to one user."""
_RELOAD_SECONDS = 1.0
_RELOAD_TIMES = 5
"""A request ahead of a block that took longer than both, the second beside the median TTFT, waited
for the model to be loaded."""


class Objective(Protocol):
    """What a request must keep to count as good, in seconds."""

    @property
    def ttft_seconds(self) -> float:
        """Longest time to the first token, from the schedule."""

    @property
    def tpot_seconds(self) -> float:
        """Longest time per further token."""


@dataclass(frozen=True, slots=True)
class StageLoad:
    """What a stage asked for."""

    stage: str
    mode: Literal["closed", "open"]
    level: float
    """Concurrent requests, or requests per second."""
    length: Length
    api: Api
    arrival: Literal["constant", "poisson"] | None = None


Figure = Callable[[Record], float | None]


def ttft(record: Record) -> float | None:
    """Return seconds from sending to the first token."""
    return _since(record, record.sent_ns)


def ttft_sched(record: Record) -> float | None:
    """Return seconds from the schedule to the first token."""
    return _since(record, record.scheduled_ns)


def _since(record: Record, begun_ns: int) -> float | None:
    if record.outcome is not Outcome.OK or not record.chunk_ns:
        return None
    return (record.chunk_ns[0] - begun_ns) * _NS


def tpot(record: Record) -> float | None:
    """Return seconds per token after the first; None for fewer than two tokens or one piece.

    An answer that came in one piece, be it several chunks in one read, says nothing about its
    tokens' pace. The last token is where the finish reason is: tokens without text are counted, and
    sent in no chunk of their own.
    """
    tokens = record.completion_tokens or 0
    if record.outcome is not Outcome.OK or tokens < 2 or not record.chunk_ns:
        return None
    last = max(record.chunk_ns[-1], record.finished_ns or 0)
    pace = (last - record.chunk_ns[0]) * _NS / (tokens - 1)
    one_piece = record.chunk_ns[0] == record.chunk_ns[-1]
    return None if one_piece and pace < _LEAST_PACE else pace


def e2e(record: Record) -> float | None:
    """Return seconds from sending to the end."""
    return (record.ended_ns - record.sent_ns) * _NS if record.outcome is Outcome.OK else None


def e2e_sched(record: Record) -> float | None:
    """Return seconds from the schedule to the end."""
    return (record.ended_ns - record.scheduled_ns) * _NS if record.outcome is Outcome.OK else None


def norm_latency(record: Record) -> float | None:
    """Return seconds from sending to the end, per token."""
    seconds = e2e(record)
    return (
        None
        if seconds is None or not record.completion_tokens
        else (seconds / record.completion_tokens)
    )


def meets_slo(record: Record, slo: Objective) -> bool:
    """Tell whether a request kept the objective; an error did not.

    The first token counts from the schedule, so that a late send is no excuse.
    """
    first, pace = ttft_sched(record), tpot(record)
    if first is None or first > slo.ttft_seconds:
        return False
    return pace is None or pace <= slo.tpot_seconds


def stage_result(load: StageLoad, records: Iterable[Record], slo: Objective) -> StageResult:
    """Compute everything of one size under one load; warm-up is left out.

    Raises ValueError when there are no records.
    """
    seen = tuple(records)
    counted = [r for r in seen if not r.planned.warm_up]
    if not counted:
        raise ValueError(f"{load.stage}: no records")
    sent = _by_block(counted)
    blocks = dict(zip(sent, throughput.steady([*sent.values()]), strict=True))
    inner = [record for group in blocks.values() for record in group]
    fine = [r for r in counted if r.outcome is Outcome.OK]
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
        prompt_tokens=_mean(blocks, lambda r: r.prompt_tokens),
        completion_tokens=_mean(blocks, lambda r: r.completion_tokens),
        counted_by=_counted_by(fine),
        ttft=first,
        ttft_sched=_distribution(blocks, ttft_sched),
        itl=_itl(blocks),
        tpot=pace,
        e2e=_distribution(blocks, e2e),
        e2e_sched=_distribution(blocks, e2e_sched),
        norm_latency=_distribution(blocks, norm_latency),
        tok_s_user=None if pace is None else _inverse(pace.mean),
        attainment=intervals.wilson(sum(meets_slo(r, slo) for r in inner), len(inner)),
        tokens_per_chunk=_tokens_per_chunk(fine),
        breakdown=_breakdown(blocks),
        short_outputs=sum(_is_short(r) for r in fine),
        truncated_prompts=sum(_is_cut(r) for r in fine),
        reloads=len({r.planned.block for r in seen if r.planned.warm_up and _is_reload(r, first)}),
        **_per_second(load, [*sent.values()], slo),
    )


def _per_second(
    load: StageLoad, blocks: Sequence[Sequence[Record]], slo: Objective
) -> dict[str, Estimate | None]:
    found = throughput.rates(blocks, load.mode, load.level, lambda r: meets_slo(r, slo))
    return {
        name: intervals.ratio_of_sums(dict(enumerate(r[name] for r in found)))
        for name in throughput.NAMES
    }


def _is_short(record: Record) -> bool:
    """Tell whether an answer of forced length ended before it, of its own accord.

    Chunks may hold several tokens, so only the server's own count or its reason is a proof.
    """
    if record.planned.length != "fixed":
        return False
    if record.counted_by == "usage" and record.completion_tokens is not None:
        return record.completion_tokens < record.planned.max_tokens
    return record.finish_reason == "stop"


def _is_cut(record: Record) -> bool:
    """Tell whether the server read too few tokens for the words: a word is one or more of them."""
    return record.prompt_tokens is not None and 2 * record.prompt_tokens < record.prompt_words


def _is_reload(record: Record, first: Distribution | None) -> bool:
    """Tell whether a request ahead of a block waited for its model to be loaded."""
    took = e2e(record) or 0.0
    usual = first.p50 or first.mean.value if first else 0.0
    return took > max(_RELOAD_SECONDS, _RELOAD_TIMES * usual)


def _by_block(records: Iterable[Record]) -> dict[int, list[Record]]:
    blocks: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        blocks[record.planned.block].append(record)
    return dict(sorted(blocks.items()))


def _values(blocks: Mapping[int, Sequence[Record]], figure: Figure) -> dict[int, list[float]]:
    return {b: [v for r in group if (v := figure(r)) is not None] for b, group in blocks.items()}


def _distribution(blocks: Mapping[int, Sequence[Record]], figure: Figure) -> Distribution | None:
    return intervals.distribution(_values(blocks, figure))


def _mean(blocks: Mapping[int, Sequence[Record]], figure: Figure) -> Estimate | None:
    fine = {b: [r for r in group if r.outcome is Outcome.OK] for b, group in blocks.items()}
    return intervals.mean_estimate(_values(fine, figure))


def _inverse(estimate: Estimate) -> Estimate | None:
    """Turn seconds per token into tokens per second; the interval's ends change places."""
    if estimate.value <= 0:
        return None
    low, high = (1 / end if end else None for end in (estimate.high, estimate.low))
    return Estimate(value=1 / estimate.value, low=low, high=high)


def _itl(blocks: Mapping[int, Sequence[Record]]) -> Distribution | None:
    """Pool the gaps between chunks; n counts the answers they are of, whose gaps are alike."""
    gaps = {b: [gap for r in group for gap in _gaps(r)] for b, group in blocks.items()}
    answers = sum(bool(_gaps(r)) for group in blocks.values() for r in group)
    return intervals.distribution(gaps, answers)


def _gaps(record: Record) -> list[float]:
    if record.outcome is not Outcome.OK:
        return []
    return [(later - earlier) * _NS for earlier, later in pairwise(record.chunk_ns)]


def _counted_by(records: Sequence[Record]) -> Literal["usage", "chunks", "mixed"] | None:
    sources = {r.counted_by for r in records} - {None}
    return sources.pop() if len(sources) == 1 else ("mixed" if sources else None)


def _tokens_per_chunk(records: Sequence[Record]) -> float | None:
    told = [r for r in records if r.counted_by == "usage" and r.chunk_ns and r.completion_tokens]
    chunks = sum(len(r.chunk_ns) for r in told)
    return sum(r.completion_tokens or 0 for r in told) / chunks if chunks else None


def _breakdown(blocks: Mapping[int, Sequence[Record]]) -> LatencyBreakdown | None:
    """Divide the time of answers whose server said its own durations."""

    def server(part: Callable[[Record], int]) -> Distribution | None:
        told = {
            b: [part(r) * _NS for r in group if r.server is not None and r.outcome is Outcome.OK]
            for b, group in blocks.items()
        }
        return intervals.distribution(told)

    load = server(lambda r: r.server.load if r.server else 0)
    prefill = server(lambda r: r.server.prompt_eval if r.server else 0)
    decode = server(lambda r: r.server.eval if r.server else 0)
    queue = server(_rest)
    if load is None or prefill is None or decode is None or queue is None:
        return None
    return LatencyBreakdown(load=load, queue=queue, prefill=prefill, decode=decode)


def _rest(record: Record) -> int:
    """Return what the server's own durations leave of the whole: waiting and the way there."""
    if record.server is None:
        return 0
    spent = record.server.load + record.server.prompt_eval + record.server.eval
    return max(0, record.ended_ns - record.sent_ns - spent)


def paired(
    a: str, b: str, stage: str | None, of_a: Iterable[Record], of_b: Iterable[Record]
) -> Paired:
    """Compare two sizes request by request: the same prompt in the same block; ratios are b / a."""
    first, second = _by_request(of_a), _by_request(of_b)
    both = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]

    def ratio(figure: Figure) -> Estimate | None:
        ratios: dict[int, list[float]] = defaultdict(list)
        for one, other in both:
            below, above = figure(one), figure(other)
            if below and above:
                ratios[one.planned.block].append(above / below)
        return intervals.geometric_mean(ratios)

    return Paired(
        a=a, b=b, stage=stage, tpot_ratio=ratio(tpot), ttft_ratio=ratio(ttft), e2e_ratio=ratio(e2e)
    )


def _by_request(records: Iterable[Record]) -> dict[tuple[str, int, int], Record]:
    """Index by what two sizes have in common: stage, block and place in it."""
    found: dict[tuple[str, int, int], Record] = {}
    groups: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in records:
        if not record.planned.warm_up:
            groups[record.stage, record.planned.block].append(record)
    for (stage, block), group in groups.items():
        out = throughput.edges(group)
        found |= {(stage, block, i): r for r in group if (i := r.planned.index) not in out}
    return found
