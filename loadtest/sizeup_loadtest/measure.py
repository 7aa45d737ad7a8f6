"""From the records of requests to figures. Pure: no clock, no I/O.

Per request, with t_sched when it should have been sent, t_send when it was, t_1 and t_n the first
and last chunk with content, t_end the end of the stream and N the answer's tokens:

    ttft = t_1 - t_send            ttft_sched = t_1 - t_sched
    tpot = (t_n - t_1) / (N - 1)   itl = gaps between chunks
    e2e = t_end - t_send           e2e_sched = t_end - t_sched      norm_latency = e2e / N

A figure that a request cannot give (tpot of one token, any of a failed one) is left out, never 0.
Rates are taken over the steady window of each block, in which the load is as asked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from sizeup_loadtest import statistics
from sizeup_loadtest.record import Api, Length, Outcome, Record
from sizeup_loadtest.results import Distribution, Estimate, Paired, Split, StageResult

_NS = 1e-9


class Objective(Protocol):
    """What a request must keep to count as good, in seconds."""

    @property
    def ttft_seconds(self) -> float:
        """Longest time to the first token, from the schedule."""

    @property
    def tpot_seconds(self) -> float:
        """Longest time per further token."""


@dataclass(frozen=True, slots=True)
class Load:
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
    """Return seconds per token after the first; None for fewer than two tokens or one chunk.

    An answer that came in one piece says nothing about its tokens' pace. The last token is where
    the finish reason is: tokens without text are counted, and sent in no chunk of their own.
    """
    tokens = record.completion_tokens or 0
    if record.outcome is not Outcome.OK or tokens < 2 or len(record.chunk_ns) < 2:
        return None
    last = max(record.chunk_ns[-1], record.finished_ns or 0)
    return (last - record.chunk_ns[0]) * _NS / (tokens - 1)


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


def meets(record: Record, objective: Objective) -> bool:
    """Tell whether a request kept the objective; an error did not.

    The first token counts from the schedule, so that a late send is no excuse.
    """
    first, pace = ttft_sched(record), tpot(record)
    if first is None or first > objective.ttft_seconds:
        return False
    return pace is None or pace <= objective.tpot_seconds


@dataclass(frozen=True, slots=True)
class Window:
    """When the load was as asked, in nanoseconds of the run's clock."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Return its length."""
        return max(0, self.end_ns - self.begin_ns) * _NS

    def holds(self, moment_ns: int) -> bool:
        """Tell whether a moment lies inside; the begin does not, the end does."""
        return self.begin_ns < moment_ns <= self.end_ns


def steady_window(records: Sequence[Record], load: Load) -> Window:
    """Return the steady window of one block of one size.

    Closed loop: from when as many requests are in flight as asked until the first worker has
    nothing left to send. Open loop: from the first to the last scheduled moment, and at least
    until one mean gap later, which is the share of the last request.
    """
    if load.mode == "open":
        begin = min(r.scheduled_ns for r in records)
        last = max(r.scheduled_ns for r in records)
        return Window(begin, last + round(1e9 / load.level))
    sent = sorted(r.sent_ns for r in records)
    begin = sent[min(int(load.level), len(sent)) - 1]
    # A request that ends as the last one is sent is the one that made room for it
    return Window(begin, min((r.ended_ns for r in records if r.ended_ns > sent[-1]), default=begin))


def tokens_inside(record: Record, window: Window) -> float:
    """Return how many of a request's tokens arrived inside; chunks share them evenly."""
    if not record.chunk_ns:
        return 0.0
    inside = sum(window.holds(moment) for moment in record.chunk_ns)
    tokens = record.completion_tokens or len(record.chunk_ns)
    return inside * tokens / len(record.chunk_ns)


def stage_result(
    load: Load, records: Iterable[Record], objective: Objective, rng: Random
) -> StageResult:
    """Compute everything of one size under one load; warm-up is left out.

    Raises ValueError when there are no records.
    """
    counted = [r for r in records if not r.planned.warm_up]
    if not counted:
        raise ValueError(f"{load.stage}: no records")
    blocks = _by_block(counted)
    fine = [r for r in counted if r.outcome is Outcome.OK]
    pace = _distribution(blocks, tpot, rng)
    return StageResult(
        stage=load.stage,
        mode=load.mode,
        level=load.level,
        arrival=load.arrival,
        length=load.length,
        api=load.api,
        n=len(counted),
        errors=dict(Counter(r.outcome.value for r in counted if r.outcome is not Outcome.OK)),
        prompt_tokens=_mean(blocks, lambda r: r.prompt_tokens, rng),
        completion_tokens=_mean(blocks, lambda r: r.completion_tokens, rng),
        counted_by=_counted_by(fine),
        ttft=_distribution(blocks, ttft, rng),
        ttft_sched=_distribution(blocks, ttft_sched, rng),
        itl=statistics.distribution({b: _gaps(group) for b, group in blocks.items()}, rng),
        tpot=pace,
        e2e=_distribution(blocks, e2e, rng),
        e2e_sched=_distribution(blocks, e2e_sched, rng),
        norm_latency=_distribution(blocks, norm_latency, rng),
        tok_s_user=None if pace is None else _inverse(pace.mean),
        attainment=statistics.wilson(sum(meets(r, objective) for r in counted), len(counted)),
        tokens_per_chunk=_tokens_per_chunk(fine),
        split=_split(blocks, rng),
        **_rates(load, blocks, objective, rng),
    )


def _by_block(records: Iterable[Record]) -> dict[int, list[Record]]:
    blocks: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        blocks[record.planned.block].append(record)
    return dict(sorted(blocks.items()))


def _values(blocks: Mapping[int, Sequence[Record]], figure: Figure) -> dict[int, list[float]]:
    return {b: [v for r in group if (v := figure(r)) is not None] for b, group in blocks.items()}


def _distribution(
    blocks: Mapping[int, Sequence[Record]], figure: Figure, rng: Random
) -> Distribution | None:
    return statistics.distribution(_values(blocks, figure), rng)


def _mean(blocks: Mapping[int, Sequence[Record]], figure: Figure, rng: Random) -> Estimate | None:
    fine = {b: [r for r in group if r.outcome is Outcome.OK] for b, group in blocks.items()}
    return statistics.mean_of(_values(fine, figure), rng)


def _inverse(estimate: Estimate) -> Estimate | None:
    """Turn seconds per token into tokens per second; the interval's ends change places."""
    if estimate.value <= 0:
        return None
    low, high = (1 / end if end else None for end in (estimate.high, estimate.low))
    return Estimate(value=1 / estimate.value, low=low, high=high)


def _gaps(records: Sequence[Record]) -> list[float]:
    return [
        (later - earlier) * _NS
        for r in records
        if r.outcome is Outcome.OK
        for earlier, later in zip(r.chunk_ns, r.chunk_ns[1:], strict=False)
    ]


def _rates(
    load: Load, blocks: Mapping[int, Sequence[Record]], objective: Objective, rng: Random
) -> dict[str, Estimate | None]:
    """Compute what is per second of the steady windows."""
    windows = {b: steady_window(group, load) for b, group in blocks.items()}

    def rate(count: Callable[[Record, Window], float]) -> Estimate | None:
        sums = {
            b: (sum(count(r, windows[b]) for r in group), windows[b].seconds)
            for b, group in blocks.items()
        }
        return statistics.ratio_of_sums(sums, rng)

    def ended(record: Record, window: Window) -> float:
        return record.outcome is Outcome.OK and window.holds(record.ended_ns)

    return {
        "out_tok_s": rate(tokens_inside),
        "requests_s": rate(ended),
        "goodput": rate(lambda r, w: ended(r, w) and meets(r, objective)),
    }


def _counted_by(records: Sequence[Record]) -> Literal["usage", "chunks", "mixed"] | None:
    sources = {r.counted_by for r in records} - {None}
    return sources.pop() if len(sources) == 1 else ("mixed" if sources else None)


def _tokens_per_chunk(records: Sequence[Record]) -> float | None:
    told = [r for r in records if r.counted_by == "usage" and r.chunk_ns and r.completion_tokens]
    chunks = sum(len(r.chunk_ns) for r in told)
    return sum(r.completion_tokens or 0 for r in told) / chunks if chunks else None


def _split(blocks: Mapping[int, Sequence[Record]], rng: Random) -> Split | None:
    """Divide the time of answers whose server said its own durations."""

    def server(part: Callable[[Record], int]) -> Distribution | None:
        told = {
            b: [part(r) * _NS for r in group if r.server is not None and r.outcome is Outcome.OK]
            for b, group in blocks.items()
        }
        return statistics.distribution(told, rng)

    load = server(lambda r: r.server.load if r.server else 0)
    prefill = server(lambda r: r.server.prompt_eval if r.server else 0)
    decode = server(lambda r: r.server.eval if r.server else 0)
    queue = server(_rest)
    if load is None or prefill is None or decode is None or queue is None:
        return None
    return Split(load=load, queue=queue, prefill=prefill, decode=decode)


def _rest(record: Record) -> int:
    """Return what the server's own durations leave of the whole: waiting and the way there."""
    if record.server is None:
        return 0
    spent = record.server.load + record.server.prompt_eval + record.server.eval
    return max(0, record.ended_ns - record.sent_ns - spent)


def paired(
    a: str, b: str, stage: str | None, of_a: Iterable[Record], of_b: Iterable[Record], rng: Random
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
        return statistics.geometric_mean_of(ratios, rng)

    return Paired(
        a=a, b=b, stage=stage, tpot_ratio=ratio(tpot), ttft_ratio=ratio(ttft), e2e_ratio=ratio(e2e)
    )


def _by_request(records: Iterable[Record]) -> dict[tuple[str, int, int], Record]:
    """Index by what two sizes have in common: stage, block and place in it."""
    return {
        (r.stage, r.planned.block, r.planned.index): r for r in records if not r.planned.warm_up
    }
