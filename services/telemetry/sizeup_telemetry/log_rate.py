"""The rate of log records of one kind. Pure: times are given."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

SECONDS = 1.0
"""The period of a limit."""

_MAX_KINDS = 256
"""Counted at a time; all others count as one kind. Messages of libraries may have variable text."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Records that count together."""

    logger: str
    level: int
    event: str


_OTHER = Kind("", 0, "")


@dataclass(slots=True)
class _Period:
    end: float
    count: int = 0
    suppressed: int = 0


class LogRate:
    """Allows a number of records of a kind per second, and counts those beyond it."""

    def __init__(self) -> None:
        self._periods: OrderedDict[Kind, _Period] = OrderedDict()
        """By their end."""

    def ended(self, now: float) -> Iterator[tuple[Kind, int]]:
        """End the periods that are over; yield those with suppressed records and their number."""
        while self._periods and next(iter(self._periods.values())).end <= now:
            kind, period = self._periods.popitem(last=False)
            if period.suppressed:
                yield kind, period.suppressed

    def allows(self, kind: Kind, limit: int, now: float) -> bool:
        """Count a record, after `ended`; return whether it is to be written."""
        if kind not in self._periods and len(self._periods) >= _MAX_KINDS:
            kind = _OTHER
        period = self._periods.setdefault(kind, _Period(now + SECONDS))
        period.count += 1
        period.suppressed += period.count > limit
        return period.count <= limit
