"""The run's clock."""

import time


class Clock:
    """Nanoseconds of one monotonic clock since the run began; callable."""

    def __init__(self) -> None:
        """Begin now."""
        self._origin = time.perf_counter_ns()

    def __call__(self) -> int:
        """Return the time."""
        return time.perf_counter_ns() - self._origin
