"""Exponential backoff between restarts. Pure: the clock is an argument."""

from dataclasses import dataclass, replace

_DOUBLINGS = 64
"""Every policy has reached its maximum by then, and the float stays finite."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to restart a child process; times in seconds."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    steady_seconds: float = 10.0
    """A child that was ready this long resets the backoff."""
    attempts: int = 5
    """Failed starts in a row before a child that was never ready is given up."""
    hung_seconds: float = 120.0
    """A running child counts as hung when it has not been ready for this long, after it was. Twice
    the time after which inference itself reports a stalled engine."""


@dataclass(frozen=True, slots=True)
class History:
    """The starts of one child so far."""

    failures: int = 0
    """Exits in a row without a steady time between them."""
    ever_ready: bool = False
    ready_at: float | None = None
    """When the current process became ready; None while it is not."""

    def after_ready(self, now: float) -> "History":
        return replace(self, ever_ready=True, ready_at=now)

    def after_exit(self, now: float, policy: Policy) -> "History":
        steady = self.ready_at is not None and now - self.ready_at >= policy.steady_seconds
        return replace(self, failures=1 if steady else self.failures + 1, ready_at=None)


def next_start(history: History, policy: Policy) -> float | None:
    """Return the seconds to wait before the next start, or None to give the child up.

    A child that was ready once is never given up: its model was loadable.
    """
    if not history.ever_ready and history.failures >= policy.attempts:
        return None
    doublings = min(history.failures - 1, _DOUBLINGS)
    return min(policy.longest_seconds, policy.first_seconds * 2.0**doublings)
