"""The waiting queue, fair between clients. Pure.

A virtual token counter for each client (Sheng et al., "Fairness in Serving Large Language Models",
OSDI 2024): what it was served, and the client with the lowest counter is next. Requests of one
client keep their order.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

OUTPUT_WEIGHT = 2
"""Cost of an output token in prompt tokens, as in the paper: a prefill is computed in parallel."""

_MAX_COUNTERS = 1024
"""Clients that do not wait and whose counters are kept; without a bound, addresses fill memory."""


class WaitingQueue(Generic[T]):
    def __init__(self, client: Callable[[T], str], cost: Callable[[T], int]) -> None:
        """`cost` is charged when an item leaves the queue: its prompt, in tokens."""
        self._client = client
        self._cost = cost
        self._resumed: deque[T] = deque()
        self._queues: dict[str, deque[T]] = {}
        self._counters: dict[str, int] = {}
        self._floor = 0
        """Counter of the client that was last served: a client that was idle starts there, since
        it cannot save up its share."""

    def __len__(self) -> int:
        return len(self._resumed) + sum(map(len, self._queues.values()))

    def append(self, item: T) -> None:
        client = self._client(item)
        if client not in self._queues:
            self._queues[client] = deque()
            self._counters[client] = max(self._counters.get(client, 0), self._floor)
        self._queues[client].append(item)

    def resume(self, item: T) -> None:
        """Put an item that had left the queue before all others."""
        self._resumed.appendleft(item)

    def charge(self, client: str, tokens: int) -> None:
        """Count prompt tokens, or output tokens times OUTPUT_WEIGHT, that a client was served."""
        self._counters[client] = self._counters.get(client, self._floor) + tokens

    def take(self, item: T) -> None:
        """Remove an item, which leaves the queue to run, and charge its prompt."""
        if item in self._resumed:
            self._resumed.remove(item)
            return
        client = self._client(item)
        self._floor = max(self._floor, self._counters[client])
        self.charge(client, self._cost(item))
        self.remove(item)

    def remove(self, item: T) -> None:
        """Remove an item that does not run, or raise ValueError."""
        if item in self._resumed:
            self._resumed.remove(item)
            return
        client = self._client(item)
        queue = self._queues.get(client, deque())
        queue.remove(item)
        if not queue:
            del self._queues[client]
            self._forget()

    def __iter__(self) -> Iterator[T]:
        """Yield every item in the order in which they are next, as if each were taken.

        The queue may change meanwhile.
        """
        yield from tuple(self._resumed)
        waiting: Mapping[str, Iterator[T]] = {
            client: iter(tuple(queue)) for client, queue in self._queues.items()
        }
        turns = [(self._counters[client], i, client) for i, client in enumerate(waiting)]
        heapq.heapify(turns)
        while turns:
            counter, i, client = heapq.heappop(turns)
            item = next(waiting[client], None)
            if item is not None:
                yield item
                heapq.heappush(turns, (counter + self._cost(item), i, client))

    def _forget(self) -> None:
        """Drop counters that decide nothing, and too many of others."""
        idle = [client for client in self._counters if client not in self._queues]
        for client in idle:
            if self._counters[client] <= self._floor or len(self._counters) > _MAX_COUNTERS:
                del self._counters[client]
