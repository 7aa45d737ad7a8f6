"""The clock of a run."""

import asyncio
import time
from collections.abc import Callable

SECOND_NS = 1_000_000_000


class Clock:
    """Callable: nanoseconds of one monotonic clock since the run began.

    The workers of a run count from its origin: all processes of a machine have the same clock.
    """

    def __init__(self, origin_ns: int | None = None) -> None:
        self.origin_ns = time.perf_counter_ns() if origin_ns is None else origin_ns

    def __call__(self) -> int:
        return time.perf_counter_ns() - self.origin_ns


async def sleep_until(due_ns: int, clock: Callable[[], int]) -> None:
    """Sleep until a time of the clock; for a time in the past, yield to other tasks once."""
    await asyncio.sleep(max(0, due_ns - clock()) / SECOND_NS)
