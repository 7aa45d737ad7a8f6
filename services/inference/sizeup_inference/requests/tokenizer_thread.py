"""The tokenizer's thread: long prompts take seconds, and the event loop must go on answering."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sizeup_inference.errors import BusyError

T = TypeVar("T")


class TokenizingThread:
    """One worker and a bounded number of jobs; belongs to the event loop."""

    def __init__(self, max_pending: int) -> None:
        """Refuse jobs beyond this many."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
        self._max_pending = max_pending
        self._pending = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in its turn, or raise BusyError at once; cancelling removes a waiting job."""
        if self._pending >= self._max_pending:
            raise BusyError("too many prompts wait to be tokenised")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Drop what waits; the job that runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
