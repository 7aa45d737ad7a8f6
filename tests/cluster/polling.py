"""Wait for what another process will do."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.2
T = TypeVar("T")


def wait_for(attempt: Callable[[], T | None], what: str, seconds: float) -> T:
    """Return the first answer that is neither None nor False; TimeoutError saying what is late."""
    deadline = time.monotonic() + seconds
    while True:
        answer = attempt()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)
