"""Stops a model that fails again and again. Pure."""

from dataclasses import dataclass

from sizeup_loadtest.analysis.stages import capacity
from sizeup_loadtest.data.record import Outcome, Record

IN_A_ROW = 10
"""Failures, each sent after the previous one ended: requests that fail together, as when a
connection is lost, are one. A server that fails 30 % of requests does so once in 170,000 times."""
_OVERLOAD = frozenset({Outcome.BUSY, Outcome.TIMEOUT, Outcome.UNAVAILABLE})
"""What a capacity search provokes."""


@dataclass(slots=True)
class FailureStreak:
    """The failures of one model since its last success."""

    length: int = 0
    _last_end_ns: int | None = None

    def add(self, record: Record) -> bool:
        """Add a request that has ended; True when the model is to be stopped."""
        if record.outcome is Outcome.OK:
            self.length, self._last_end_ns = 0, None
        elif self._counts(record):
            self.length, self._last_end_ns = self.length + 1, record.ended_ns
        return self.length >= IN_A_ROW

    def _counts(self, record: Record) -> bool:
        provoked = capacity.is_search(record.stage) and record.outcome in _OVERLOAD
        together = self._last_end_ns is not None and record.begun_ns < self._last_end_ns
        return not (provoked or together)
