"""A limited number of places that clients share. Pure; belongs to one event loop."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_RESERVE = 8
"""One place of so many is in the reserve: few enough that one client alone still fills a batch."""


class FullError(Exception):
    """No place is left for this client."""


class Places:
    """Counts the places that each client holds.

    Those of the reserve go to clients that hold less than an equal share, so that one client's
    flood leaves places for the first requests of others.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._held: Counter[str] = Counter()
        self.total = 0
        """Places that are taken."""

    def has_room(self, client: str, count: int = 1) -> bool:
        """Whether a client may take so many more places."""
        total = self.total + count
        if total <= self.capacity - self.capacity // _RESERVE:
            return True
        sharers = len(self._held) + 1  # another client may come
        return total <= self.capacity and self._held[client] + count <= self.capacity // sharers

    @contextmanager
    def held(self, client: str, count: int = 1) -> Iterator[None]:
        """Hold places while the block runs, or raise FullError.

        What exceeds the capacity holds one: it never fits, which its handler reports.
        """
        count = count if count <= self.capacity else 1
        if not self.has_room(client, count):
            raise FullError
        self._held[client] += count
        self.total += count
        try:
            yield
        finally:
            self.total -= count
            self._held[client] -= count
            if not self._held[client]:
                del self._held[client]
