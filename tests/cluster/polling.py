"""Polls for a condition with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.2
T = TypeVar("T")


def wait_for(attempt: Callable[[], T | None], what: str, seconds: float) -> T:
    """Return the first result that is neither None nor False. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + seconds
    while True:
        result = attempt()
        if result is not None and result is not False:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: timed out after {seconds:g} s")
        time.sleep(POLL_SECONDS)
