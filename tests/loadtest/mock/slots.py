"""The slots of a model."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import takewhile
from time import perf_counter_ns

from loadtest.mock.behaviour import MockModel
from loadtest.mock.truth import ServedRequest


async def until(moment_ns: int) -> None:
    """Sleep until a time of `perf_counter_ns`."""
    disconnected = moment_ns - perf_counter_ns()
    await asyncio.sleep(max(0, disconnected) / 1e9)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class ModelSlots:
    """One model with its slots and its queue."""

    def __init__(self, size: MockModel) -> None:
        self.size = size
        self.loaded = size.load_seconds == 0
        self.waiting = 0
        self.running = 0
        self.turns: Counter[str] = Counter()
        """Prompt -> number of requests."""
        self._seen: list[list[str]] = []
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
        self.running += 1
        try:
            served.begun_ns = perf_counter_ns()
            await self.load()
            ready = perf_counter_ns() if self.size.load_seconds else served.begun_ns
            served.load_ns = ready - served.begun_ns
            yield ready
        finally:
            self.running -= 1
            self._slots.release()

    def cached_words(self, prompt: str) -> int:
        """Return the words of a prompt that an earlier one began with, and remember it."""
        words = prompt.split()
        known = max((_common(words, seen) for seen in self._seen), default=0)
        self._seen.append(words)
        return known

    async def load(self) -> None:
        """Load the model once; concurrent requests wait for the same load."""
        async with self._loading:
            if not self.loaded:
                await until(perf_counter_ns() + round(self.size.load_seconds * 1e9))
                self.loaded = True
