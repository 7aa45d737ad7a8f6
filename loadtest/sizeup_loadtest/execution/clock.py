"""The run's clock."""

import time

from sizeup_loadtest.errors import UsageError

MAX_WAIT_SECONDS = 3600
"""Longest wait for a common start: pods of one Job that come later than that have another fault."""

_SECOND_NS = 1_000_000_000


class Clock:
    """Nanoseconds of one monotonic clock since the run began; callable.

    Shards that begin together count from the moment they agreed on, so their times can be merged
    as far as the clocks of their machines agree; before that moment time is negative.
    """

    def __init__(self, start_at: float | None = None) -> None:
        """Begin now, or at a moment of the wall clock (Unix seconds); UsageError when it is far."""
        wait = 0.0 if start_at is None else start_at - time.time()
        if not -MAX_WAIT_SECONDS < wait < MAX_WAIT_SECONDS:
            raise UsageError(f"the common start is {wait:.0f} s away, more than an hour")
        self._origin = time.perf_counter_ns() + round(wait * _SECOND_NS)

    def __call__(self) -> int:
        """Return the time."""
        return time.perf_counter_ns() - self._origin
