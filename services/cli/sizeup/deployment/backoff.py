"""When to try again: exponential backoff, as a decision without a clock."""

from dataclasses import dataclass, replace

_DOUBLINGS = 64
"""Beyond this many every policy has reached its longest wait, and a float stays finite."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a dead child is brought back; times in seconds."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    steady_seconds: float = 10.0
    """A child that was ready this long starts again from the first wait."""
    attempts: int = 5
    """Starts that may fail in a row before a child that was never ready is given up."""
    hung_seconds: float = 120.0
    """A child that was ready and for so long is not, though it runs, hangs. Twice the time after
    which inference itself calls its engine stalled."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a child's starts so far."""

    failures: int = 0
    """Deaths in a row, without a steady time between."""
    ever_ready: bool = False
    ready_at: float | None = None
    """When the present start became ready; None while it is not."""

    def after_ready(self, now: float) -> "History":
        """Return the history once the child has become ready."""
        return replace(self, ever_ready=True, ready_at=now)

    def after_death(self, now: float, policy: Policy) -> "History":
        """Return the history once the child has died."""
        steady = self.ready_at is not None and now - self.ready_at >= policy.steady_seconds
        return replace(self, failures=1 if steady else self.failures + 1, ready_at=None)


def wait_seconds(failures: int, policy: Policy) -> float:
    """Return the wait after this many failures in a row (1 is the first)."""
    doublings = min(failures - 1, _DOUBLINGS)
    return float(min(policy.longest_seconds, policy.first_seconds * 2.0**doublings))


def next_start(history: History, policy: Policy) -> float | None:
    """Return how long to wait before the next start, or None to give the child up.

    A child that was ready once is never given up: what it serves was loadable, so waiting may help.
    """
    if not history.ever_ready and history.failures >= policy.attempts:
        return None
    return wait_seconds(history.failures, policy)
