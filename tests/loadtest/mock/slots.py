"""The slots of a model."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter_ns

from loadtest.mock.behaviour import MockModel
from loadtest.mock.truth import ServedRequest


async def until(moment_ns: int) -> None:
    """Sleep until a time of `perf_counter_ns`."""
    disconnected = moment_ns - perf_counter_ns()
    await asyncio.sleep(max(0, disconnected) / 1e9)


class ModelSlots:
    """One model with its slots and its queue."""

    def __init__(self, size: MockModel) -> None:
        self.size = size
        self.loaded = size.load_seconds == 0
        self.waiting = 0
        self.turns: Counter[str] = Counter()
        """Prompt -> number of requests."""
        self._slots = asyncio.Semaphore(size.parallel)
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def slot(self, served: ServedRequest) -> AsyncIterator[int]:
        """Wait for a slot and for the model; yield the start time of the response."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        try:
            served.begun_ns = perf_counter_ns()
            await self.load()
            ready = perf_counter_ns() if self.size.load_seconds else served.begun_ns
            served.load_ns = ready - served.begun_ns
            yield ready
        finally:
            self._slots.release()

    async def load(self) -> None:
        """Load the model once; concurrent requests wait for the same load."""
        async with self._loading:
            if not self.loaded:
                await until(perf_counter_ns() + round(self.size.load_seconds * 1e9))
                self.loaded = True
