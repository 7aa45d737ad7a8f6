"""How much of a run is left, from its expected phases and the measured pace. Pure.

A segment has an estimate at an assumed pace; the ratio of the time it took to its estimate corrects
the estimates of what is left. The clock is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_PACED_BY = {"speed": ("speed", "warm_up"), "ability": ("ability", "speed", "warm_up")}
"""Phases whose pace holds for a phase, the closest first. Capacity is bounded by time instead."""


@dataclass(slots=True)
class _Phase:
    estimated: float = 0.0
    """Seconds of its segments, as estimated."""
    taken: float = 0.0


@dataclass(slots=True)
class TimeLeft:
    """Counts segments; `expected` has the estimated seconds of every phase, in order."""

    expected: Mapping[str, float]
    limit: float
    """Seconds after which the run ends at the latest."""
    budgeted: bool = False
    """Whether `expected` is the time that each phase takes, at most, whatever the pace."""
    _phases: dict[str, _Phase] = field(default_factory=dict)
    _current: str = ""
    _began: float = 0.0
    _estimate: float = 0.0

    def began_phase(self, name: str, now: float) -> None:
        """End the segment and the phase before."""
        self.ended_segment(now)
        self._current = name

    def began_segment(self, estimate: float, now: float) -> None:
        """End the segment before, and begin one of `estimate` seconds."""
        self.ended_segment(now)
        self._began, self._estimate = now, estimate

    def ended_segment(self, now: float) -> None:
        if self._estimate:
            phase = self._phases.setdefault(self._current, _Phase())
            phase.estimated += self._estimate
            phase.taken += now - self._began
        self._estimate = 0.0

    def left(self, now: float, done: float = 0.0) -> float | None:
        """Return the seconds left; None before the pace is known. `done` is of the segment."""
        names = list(self.expected)
        at = names.index(self._current) if self._current in names else 0
        total = 0.0
        for name in names[at:]:
            pace = self._pace(name)
            if pace is None:
                return None
            total += pace * max(0.0, self.expected[name] - self._spent(name, now, done))
        return min(total, max(0.0, self.limit - now))

    def share_done(self, now: float) -> float | None:
        left = self.left(now)
        return None if left is None or now + left <= 0 else now / (now + left)

    def _spent(self, name: str, now: float, done: float) -> float:
        """Return what a phase has used of its expected seconds."""
        phase = self._phases.get(name, _Phase())
        running = name == self._current and self._estimate > 0
        if self.budgeted:
            return phase.taken + (now - self._began if running else 0)
        return phase.estimated + (self._estimate * done if running else 0)

    def _pace(self, name: str) -> float | None:
        """Return the time taken per estimated second."""
        if self.budgeted:
            return 1.0
        found = (self._phases.get(other) for other in _PACED_BY.get(name, (name,)))
        phase = next((one for one in found if one and one.estimated), None)
        if phase is None:
            return None if name in _PACED_BY else 1.0
        return phase.taken / phase.estimated
