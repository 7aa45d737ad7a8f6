"""What is per second, over the time in which the load of a block was as asked. Pure.

Closed loop: from the first moment at which as many requests are under way as asked to the last.
Users make the load, and goodput is what they get done within the objective. Open loop: requests
come at their rate from the first to the last, and what the server gives out is steady once it has
had time to fill. The load is given, and goodput is the part of it that met the objective.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sizeup_loadtest.record import Outcome, Record

_NS = 1e-9

NAMES = ("out_tok_s", "requests_s", "goodput")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the run's clock, in nanoseconds."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Return its length."""
        return max(0, self.end_ns - self.begin_ns) * _NS

    def holds(self, moment_ns: int) -> bool:
        """Tell whether a moment lies inside; the begin does not, the end does."""
        return self.begin_ns < moment_ns <= self.end_ns


def rates(
    records: Sequence[Record], mode: str, level: float, good: Callable[[Record], bool]
) -> Mapping[str, tuple[float, float]]:
    """Return how many there were of each of NAMES in one block, and in how many seconds.

    No seconds where the load never was as asked.
    """
    steady = steady_window(records, mode, level)
    if mode == "closed":
        kept, offered = sum(share_inside(r, steady) for r in records if good(r)), steady
    else:
        kept, offered = float(sum(map(good, records))), offered_window(records, level)
    return {
        "out_tok_s": (sum(tokens_inside(r, steady) for r in records), steady.seconds),
        "requests_s": (sum(share_inside(r, steady) for r in records), steady.seconds),
        "goodput": (kept, offered.seconds),
    }


def tokens_inside(record: Record, window: Window) -> float:
    """Return how many of a request's tokens arrived inside; chunks share them evenly."""
    tokens = record.completion_tokens or len(record.chunk_ns)
    return tokens * _chunks_inside(record, window) if record.chunk_ns else 0.0


def share_inside(record: Record, window: Window) -> float:
    """Return which share of an answer arrived inside; 0 of a failed one.

    Whole answers would not do: users who began together end together, and a window that is over
    when the first of them ends would count all their work and few of their answers.
    """
    if record.outcome is not Outcome.OK:
        return 0.0
    if not record.chunk_ns:
        return float(window.holds(record.ended_ns))
    return _chunks_inside(record, window)


def _chunks_inside(record: Record, window: Window) -> float:
    return sum(window.holds(moment) for moment in record.chunk_ns) / len(record.chunk_ns)


def steady_window(records: Sequence[Record], mode: str, level: float) -> Window:
    """Return when a server's output was that of the load; empty where it never was."""
    return _full(records, int(level)) if mode == "closed" else _filled(records, level)


def offered_window(records: Sequence[Record], rate: float) -> Window:
    """Return when an open loop's requests came, up to one mean gap after the last: its share."""
    scheduled = [r.scheduled_ns for r in records]
    return Window(min(scheduled), max(scheduled) + round(1e9 / rate))


def _full(records: Sequence[Record], level: int) -> Window:
    """Return from when a closed loop's users are all waiting until one has nothing left to ask."""
    most = min(level, len(records))
    # An end sorts before a send of the same moment: it is the one that made room for it.
    moments = sorted((at, step) for r in records for at, step in ((r.sent_ns, 1), (r.ended_ns, -1)))
    begin: int | None = None
    end = flying = 0
    for at, step in moments:
        if flying == most and step < 0:
            end = at
        flying += step
        if flying == most and begin is None:
            begin = at
    return Window(0, 0) if begin is None else Window(begin, end)


def _filled(records: Sequence[Record], rate: float) -> Window:
    """Return when an open loop's output is steady: after as long as an answer takes.

    That is the longest of the answers to requests that came before any had ended; later ones may
    have waited in a queue that only grows, and then output is steady all the while. Empty when what
    is left is shorter than that.
    """
    whole = offered_window(records, rate)
    fine = [r for r in records if r.outcome is Outcome.OK]
    ended = min((r.ended_ns for r in fine), default=whole.begin_ns)
    first = (r.ended_ns - r.scheduled_ns for r in fine if r.scheduled_ns <= ended)
    begin = whole.begin_ns + (longest := max(first, default=0))
    return Window(begin, whole.end_ns if whole.end_ns - begin >= longest else begin)
