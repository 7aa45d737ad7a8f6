"""The clock of a run."""

import asyncio
import time
from collections.abc import Callable

from sizeup_loadtest.errors import UsageError

MAX_WAIT_SECONDS = 3600
"""Longest wait for a common start: a clock or a pod that is an hour off is an error."""

SECOND_NS = 1_000_000_000


class Clock:
    """Callable: nanoseconds of one monotonic clock since the run began.

    Shards with a common start count from it, so their times can be merged as precisely as the
    clocks of their machines agree; before it time is negative.
    """

    def __init__(self, start_at: float | None = None) -> None:
        """Start now, or at a Unix time in seconds; UsageError when that is too far away."""
        wait = 0.0 if start_at is None else start_at - time.time()
        if not -MAX_WAIT_SECONDS < wait < MAX_WAIT_SECONDS:
            raise UsageError(
                f"--start-at: the common start is {wait:.0f} s away, more than an hour"
            )
        self._origin = time.perf_counter_ns() + round(wait * SECOND_NS)

    def __call__(self) -> int:
        return time.perf_counter_ns() - self._origin


async def sleep_until(due_ns: int, clock: Callable[[], int]) -> None:
    """Sleep until a time of the clock; for a time in the past, yield to other tasks once."""
    await asyncio.sleep(max(0, due_ns - clock()) / SECOND_NS)
