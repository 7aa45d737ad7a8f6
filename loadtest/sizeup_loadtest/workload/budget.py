"""How a run of limited time (`limits.budget_minutes`) is divided. Pure.

Every model answers with one user first, in every block; what is left goes to higher loads. Nothing
is cut short: a slow server gives fewer answers, and a load that would take too long is left out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sizeup_loadtest.workload.schedule import Segment

SHARES: Mapping[str, float] = {"speed": 0.45, "ability": 0.3, "capacity": 0.25}
"""Of the time after the warm-up. Speed has the most answers to wait for: six of every model with
one user, the fewest of which a median has a 95 % interval, and those of every other load."""

MIN_QUESTIONS = 5
"""Of a block: 25 in five blocks give an accuracy to 20 points."""

_GROWTH = 0.25
"""Of a response with the number of users, as an exponent, while no higher load was measured:
between 0 (a batch is free) and 1 (requests are served in turn). It decides whether a load is
tried."""

_FIRST_SECONDS = 0.1
"""In which at least the first request is sent, also by a client that is late."""

_MARGIN = 1.1
"""The next response may take a little longer than the median."""


def phase_seconds(phase: str, later: Collection[str], left: float) -> float:
    """Return the time of a phase; what it does not use is left to the later ones."""
    rest = sum(SHARES.get(name, 0) for name in later)
    return left * SHARES[phase] / (SHARES[phase] + rest)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one response of each model takes, by number of users."""

    _seconds: dict[str, dict[float, float]] = field(default_factory=dict)

    def learn(self, model: str, users: float, seconds: float) -> None:
        self._seconds.setdefault(model, {})[users] = seconds

    def expected(self, model: str, users: float) -> float:
        """Return the measured time, or an estimate from the closest measured load below."""
        known = self._seconds.get(model, {})
        below = max((level for level in known if level <= users), default=None)
        return 0.0 if below is None else known[below] * (users / below) ** _GROWTH


def sending_seconds(segments: Sequence[Segment], left: float, pace: Pace) -> float | None:
    """Return how long the first of the remaining segments may send, None to leave it out.

    `left` is the time for all of them. The responses of the last requests still come afterwards.
    """
    segment, later = segments[0], segments[1:]
    response = pace.expected(segment.model, segment.stage.level)
    least = _least_seconds(segment, pace)
    if not _is_first_load(segment):
        reserved = sum(_least_seconds(other, pace) for other in later if _is_first_load(other))
        rivals = [s for s in segments if s.block == segment.block and not _is_first_load(s)]
        if least > (left - reserved) / len(rivals):
            return None
    elif left <= 0 or (segment.block > 0 and left - least < _of_faster(response, later, pace)):
        return None
    return max(least, left / len(segments), response + _FIRST_SECONDS) - response


def _of_faster(response: float, later: Sequence[Segment], pace: Pace) -> float:
    """Return what models that answer sooner still need with one user: they are not starved."""
    alone = [s for s in later if _is_first_load(s)]
    faster = [s for s in alone if pace.expected(s.model, 1) < response / _MARGIN]
    return sum(_least_seconds(s, pace) for s in faster) or -inf


def _least_seconds(segment: Segment, pace: Pace) -> float:
    """Return the time of a figure: two responses after each other, or one with one user.

    Above one user the first response is ramp-up. With one user a second response in the second
    block, when the pace is known, makes six in five blocks.
    """
    alone = _is_first_load(segment) and segment.block != 1
    return pace.expected(segment.model, segment.stage.level) * (1 if alone else 1 + _MARGIN)


def _is_first_load(segment: Segment) -> bool:
    return segment.stage.mode == "closed" and segment.stage.level == 1


def questions(
    left: float, blocks: int, seconds: Mapping[str, float], most: int
) -> tuple[int, Sequence[str]]:
    """Return the number of questions of the next block, and the models that are asked.

    All models get the same questions. `seconds` is the time of a question by model; the slowest are
    left out where not even `MIN_QUESTIONS` of all models fit into the remaining blocks.
    """
    asked = sorted(seconds, key=lambda model: seconds[model])
    share = left / blocks
    while asked and MIN_QUESTIONS * sum(seconds[model] for model in asked) > share:
        asked.pop()
    if not asked:
        return 0, []
    each = sum(seconds[model] for model in asked)
    return min(most, int(share / each) if each else most), asked
