"""Limit how often something happens. Pure: the clock is an argument."""


class Throttle:
    """Allow one event in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether an event is allowed, and if so count it."""
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        return True
