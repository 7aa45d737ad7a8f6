"""A worker thread for what would block the event loop: encoding, compiling grammars."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sizeup_inference.errors import BusyError

T = TypeVar("T")


class WorkerThread:
    """One thread and a bounded queue of jobs. Used from the event loop only."""

    def __init__(self, name: str, max_pending: int) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._name = name
        self._max_pending = max_pending
        self._pending = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in order, or raise BusyError when full; cancelling removes a queued job."""
        if self._pending >= self._max_pending:
            raise BusyError(f"the {self._name} queue is full")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Drop queued jobs; a running one is not interrupted."""
        self._executor.shutdown(wait=False, cancel_futures=True)
