"""A time limit that an overloaded event loop does not shorten."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SLICES = 10
"""Turns of the event loop that work has at least; a request over a connection takes about four."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, or raise TimeoutError after that many seconds.

    The time passes in slices, and a slice that ends late counts with its own length: what the loop
    spends on other work is not counted against `work`.
    """
    task = asyncio.create_task(work)
    try:
        for _ in range(_SLICES):
            done, _ = await asyncio.wait({task}, timeout=seconds / _SLICES)
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise TimeoutError
