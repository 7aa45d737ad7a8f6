"""A model's places: so many answers at one time, the rest in order of arrival."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter_ns

from loadtest.mock.behaviour import MockModel
from loadtest.mock.truth import ServedRequest


async def until(moment_ns: int) -> None:
    """Sleep until a moment of `perf_counter_ns`; not at all when it has passed."""
    left = moment_ns - perf_counter_ns()
    await asyncio.sleep(max(0, left) / 1e9)


class ModelSlots:
    """One model being served."""

    def __init__(self, size: MockModel) -> None:
        self.size = size
        self.loaded = size.load_seconds == 0
        self.waiting = 0
        self.turns: Counter[str] = Counter()
        """Prompt -> how often it was asked."""
        self._slots = asyncio.Semaphore(size.parallel)
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, answer: ServedRequest) -> AsyncIterator[int]:
        """Wait for a place and for the model; yield the moment from which its answer counts."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        try:
            answer.begun_ns = perf_counter_ns()
            await self.load()
            ready = perf_counter_ns() if self.size.load_seconds else answer.begun_ns
            answer.load_ns = ready - answer.begun_ns
            yield ready
        finally:
            self._slots.release()

    async def load(self) -> None:
        """Load the model once; whoever comes meanwhile waits for the same load."""
        async with self._loading:
            if not self.loaded:
                await until(perf_counter_ns() + round(self.size.load_seconds * 1e9))
                self.loaded = True
