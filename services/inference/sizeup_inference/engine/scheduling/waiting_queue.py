"""The waiting queue, fair between clients. Pure.

A virtual token counter for each client (VTC: Sheng et al., "Fairness in Serving Large Language
Models", OSDI 2024): what it was served, and the client with the lowest counter is next. Requests of
one client keep their order. A client that was idle starts at the virtual time of weighted fair
queueing (Demers et al., SIGCOMM 1989), which passes every counter in the end: by the lowest counter
that waits, as in VTC, a stream of new clients could delay one with a higher counter for ever.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
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
        """Of the clients that wait, and of those ahead of the virtual time."""
        self._virtual_time = 0
        """An equal share of what all were served: a client that was idle starts there, since it
        cannot save up its share."""
        self._undivided = 0
        """Tokens of which no whole one is left for each client; whole numbers make ties exact."""

    def __len__(self) -> int:
        return len(self._resumed) + sum(map(len, self._queues.values()))

    def append(self, item: T) -> None:
        client = self._client(item)
        if client not in self._queues:
            self._queues[client] = deque()
            self._counters[client] = max(self._counters.get(client, 0), self._virtual_time)
        self._queues[client].append(item)

    def resume(self, item: T) -> None:
        """Put an item that had left the queue before all others."""
        self._resumed.appendleft(item)

    def charge(self, client: str, tokens: int) -> None:
        """Count prompt tokens, or output tokens times OUTPUT_WEIGHT, that a client was served."""
        self._counters[client] = self._counters.get(client, self._virtual_time) + tokens
        share, self._undivided = divmod(self._undivided + tokens, len(self._counters))
        if share:
            self._virtual_time += share
            self._forget()

    def take(self, item: T) -> None:
        """Remove an item, which leaves the queue to run, and charge its prompt."""
        if item not in self._resumed:
            self.charge(self._client(item), self._cost(item))
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

        Of equal counters, that of the client with the fewest items is first: it asks for less. The
        queue may change meanwhile.
        """
        yield from tuple(self._resumed)
        turns = [
            (self._counters[client], len(queue), i, deque(queue))
            for i, (client, queue) in enumerate(self._queues.items())
        ]
        heapq.heapify(turns)
        while turns:
            counter, _, i, queue = heapq.heappop(turns)
            item = queue.popleft()
            yield item
            if queue:
                heapq.heappush(turns, (counter + self._cost(item), len(queue), i, queue))

    def _forget(self) -> None:
        """Drop counters that decide nothing, and the least of too many."""
        idle = [(n, client) for client, n in self._counters.items() if client not in self._queues]
        for counter, client in sorted(idle):
            if counter <= self._virtual_time or len(self._counters) > _MAX_COUNTERS:
                del self._counters[client]
