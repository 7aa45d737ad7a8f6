"""What is per second, over the time in which the load of a block was as asked. Pure.

Closed loop: users make the load, and an answer's time says how many they get. By Little's law that
is the users under way over the mean time of an answer, whatever the answers' lengths. Counting what
ends in a short time would not do: users who begin fresh have not come to their long answers yet.

Open loop: the load is given, and goodput is the part of it that met the objective. A server that
keeps up gives what was asked, in the time in which it was asked; one that falls behind needs
longer.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from sizeup_loadtest.data.record import Outcome, Record

_NS = 1e-9

_NEAR_MOST = 0.9
"""Share of the most requests that ever were under way: with less, a server that keeps up would seem
slower than it is; with more, hardly any time would be left."""
_QUEUED = 0.5
"""The same, of a server that falls behind: it is as busy then, and for longer."""

NAMES = ("out_tok_s", "requests_s", "goodput")

Rates = Mapping[str, tuple[float, float]]
"""How many there were of each of NAMES, and in how many seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the run's clock, in nanoseconds."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Return its length."""
        return max(0, self.end_ns - self.begin_ns) * _NS


def rates(
    blocks: Sequence[Sequence[Record]], mode: str, level: float, good: Callable[[Record], bool]
) -> list[Rates]:
    """Return each block's rates; no seconds where the load never was as asked."""
    if mode == "closed":
        kept = zip(blocks, steady(blocks), strict=True)
        return [_of_users(block, inner, int(level), good) for block, inner in kept]
    stretch = _stretch(blocks, level)
    return [_of_arrivals(block, level, stretch, good) for block in blocks]


def _of_arrivals(
    block: Sequence[Record], rate: float, stretch: float, good: Callable[[Record], bool]
) -> Rates:
    offered = offered_window(block, rate).seconds
    made = _counted(block, good, stretch * offered)
    return {**made, "goodput": (made["goodput"][0], offered)}


def edges(block: Sequence[Record]) -> frozenset[int]:
    """Return the indices of a block's requests that fill and empty a closed loop.

    As many empty it as fill it: the last that were sent, which are not those that were planned as
    the last where the time was over before.
    """
    ordered = sorted(block, key=lambda r: r.planned.index)
    fill = [r.planned.index for r in takewhile(lambda r: r.planned.ramp, ordered)]
    sent = sorted(ordered, key=lambda r: r.sent_ns)
    drain = [r.planned.index for r in sent[len(sent) - len(fill) :]]
    return frozenset([*fill, *drain])


def steady(blocks: Sequence[Sequence[Record]]) -> list[Sequence[Record]]:
    """Return the requests of each block that met the load as asked: those that are no edge.

    All of them where the time was over before the others were a third: a few would say less than
    all do, though some of those met a smaller load.
    """
    left_out = [edges(block) for block in blocks]
    inner = [
        [r for r in block if r.planned.index not in out]
        for block, out in zip(blocks, left_out, strict=True)
    ]
    kept, sent = sum(map(len, inner)), sum(map(len, blocks))
    return [*inner] if 2 * kept >= sent - kept else [*blocks]


def _of_users(
    block: Sequence[Record],
    inner: Sequence[Record],
    level: int,
    good: Callable[[Record], bool],
) -> Rates:
    """Count what the steady requests got, in the time it takes so many users to ask them."""
    window = full_window(block, level)
    users = sum(_inside(r, window) for r in block) / window.seconds if window.seconds else 0.0
    took = sum(r.ended_ns - r.sent_ns for r in inner) * _NS
    return _counted(inner, good, took / users if users else 0.0)


def _inside(record: Record, window: Window) -> float:
    begin, end = max(record.sent_ns, window.begin_ns), min(record.ended_ns, window.end_ns)
    return Window(begin, end).seconds


def _counted(records: Sequence[Record], good: Callable[[Record], bool], seconds: float) -> Rates:
    return {
        "out_tok_s": (float(sum(map(tokens, records))), seconds),
        "requests_s": (float(sum(r.outcome is Outcome.OK for r in records)), seconds),
        "goodput": (float(sum(map(good, records))), seconds),
    }


def tokens(record: Record) -> int:
    """Return how many of a request's tokens arrived, also where it failed later."""
    return (record.completion_tokens or len(record.chunk_ns)) if record.chunk_ns else 0


def offered_window(records: Sequence[Record], rate: float) -> Window:
    """Return when an open loop's requests came, up to one mean gap after the last: its share."""
    scheduled = [r.scheduled_ns for r in records]
    return Window(min(scheduled), max(scheduled) + round(1e9 / rate))


def full_window(block: Sequence[Record], level: int) -> Window:
    """Return from when a closed loop's users are all waiting until one has nothing left to ask."""
    most = min(level, len(block))
    full = [window for window, flying in _under_way(block) if flying == most]
    return Window(full[0].begin_ns, full[-1].end_ns) if full else Window(0, 0)


def _under_way(block: Sequence[Record]) -> Iterator[tuple[Window, int]]:
    """Yield how many requests were under way, from one moment at which that changed to the next."""
    # An end sorts before a send of the same moment: it is the one that made room for it.
    moments = sorted((at, step) for r in block for at, step in ((r.sent_ns, 1), (r.ended_ns, -1)))
    flying = 0
    for (at, step), (later, _) in pairwise(moments):
        flying += step
        yield Window(at, later), flying


def _stretch(blocks: Sequence[Sequence[Record]], rate: float) -> float:
    """Return by how much longer a server needs for what came than it took to come; 1 at least.

    It needs as long as its best output takes, which it gives while most requests are under way: a
    busy server all it can, and an idle one more than the mean, so that it needs no longer. Judged
    of all blocks together, since the most that one of them saw is chance.

    0 where it cannot be known: the server seems to need longer, but all had come before it could be
    as busy as the load would have made it.
    """
    offered = math.fsum(offered_window(block, rate).seconds for block in blocks)
    if _needed(blocks, _NEAR_MOST) <= offered:
        return 1.0
    known = _undisturbed(blocks) <= offered / len(blocks)
    return max(1.0, _needed(blocks, _QUEUED) / offered) if known else 0.0


def _needed(blocks: Sequence[Sequence[Record]], share: float) -> float:
    """Return the seconds that all tokens take at the output of the busiest time; 0 of none."""
    parts = [_busiest(block, share) for block in blocks]
    most, seconds = (math.fsum(part[i] for part in parts) for i in (0, 1))
    whole = math.fsum(tokens(record) for block in blocks for record in block)
    return whole / most * seconds if most else 0.0


def _undisturbed(blocks: Sequence[Sequence[Record]]) -> float:
    """Return the seconds a token's answer takes at the pace of the one that was disturbed least.

    A mean by tokens: most of a server's work is in few long answers.
    """
    fine = [r for block in blocks for r in block if r.outcome is Outcome.OK and tokens(r)]
    pace = min(((r.ended_ns - r.scheduled_ns) * _NS / tokens(r) for r in fine), default=0.0)
    each = [tokens(r) for r in fine]
    return pace * sum(n * n for n in each) / max(1, sum(each))


def _busiest(block: Sequence[Record], share: float) -> tuple[float, float]:
    """Return the tokens that came while a share of the most were under way, and how long."""
    spans = list(_under_way(block))
    least = share * max(flying for _, flying in spans)
    busy = [window for window, flying in spans if flying >= least]
    begins = [window.begin_ns for window in busy]

    def holds(moment: int) -> bool:
        place = bisect_left(begins, moment) - 1
        return place >= 0 and moment <= busy[place].end_ns

    arrived = (tokens(r) / len(r.chunk_ns) for r in block for at in r.chunk_ns if holds(at))
    return math.fsum(arrived), math.fsum(window.seconds for window in busy)
