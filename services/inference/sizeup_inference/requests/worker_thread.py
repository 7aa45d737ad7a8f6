"""A worker thread for what would block the event loop: encoding, compiling grammars."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sizeup_inference.engine.scheduling.waiting_queue import WaitingQueue
from sizeup_inference.errors import BusyError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A job that waits for the thread."""

    client: str
    begins: asyncio.Future[None]


class WorkerThread:
    """One thread and a bounded queue of jobs, fair between clients by the time that they take.

    Used from the event loop only.
    """

    def __init__(self, name: str, max_pending: int) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._name = name
        self._max_pending = max_pending
        self._pending = 0
        self._is_busy = False
        self._queue: WaitingQueue[_Turn] = WaitingQueue(lambda turn: turn.client, lambda _turn: 0)
        """Charged in microseconds."""

    async def run(self, job: Callable[[], T], client: str | None = None) -> T:
        """Run a job, or raise BusyError when full; cancelling removes a queued job."""
        if self._pending >= self._max_pending:
            raise BusyError(f"the {self._name} queue is full")
        self._pending += 1
        try:
            await self._turn(client or "")
            return await self._execute(job, client or "")
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Drop queued jobs; a running one is not interrupted."""
        for turn in self._queue:
            turn.begins.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, client: str) -> None:
        if not self._is_busy:
            self._is_busy = True
            return
        turn = _Turn(client, asyncio.get_running_loop().create_future())
        self._queue.append(turn)
        try:
            await turn.begins
        except asyncio.CancelledError:
            if turn.begins.cancelled():
                self._queue.remove(turn)
            else:
                self._begin_next()
            raise

    async def _execute(self, job: Callable[[], T], client: str) -> T:
        started_ns = time.perf_counter_ns()

        def ended(_future: asyncio.Future[T]) -> None:
            self._queue.charge(client, (time.perf_counter_ns() - started_ns) // 1000)
            self._begin_next()

        future = asyncio.get_running_loop().run_in_executor(self._executor, job)
        future.add_done_callback(ended)
        return await future

    def _begin_next(self) -> None:
        for turn in self._queue:
            if not turn.begins.cancelled():  # else it removes itself
                self._queue.take(turn)
                turn.begins.set_result(None)
                return
        self._is_busy = False
