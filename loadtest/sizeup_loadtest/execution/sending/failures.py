"""Stops a model that fails again and again. Pure."""

from dataclasses import dataclass, field

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
    failures: list[Record] = field(default_factory=list)
    """From the first that counts on."""
    _last_end_ns: int = 0

    def add(self, record: Record) -> bool:
        """Add a request that has ended; True when the model is to be stopped."""
        if record.outcome is Outcome.OK:
            self.length, self._last_end_ns = 0, 0
            self.failures.clear()
            return False
        provoked = capacity.is_search(record.stage) and record.outcome in _OVERLOAD
        if not provoked and record.begun_ns >= self._last_end_ns:
            self.length, self._last_end_ns = self.length + 1, record.ended_ns
        if self.length:
            self.failures.append(record)
        return self.length >= IN_A_ROW
