"""The bound of a server's connections, and which of them end in favour of new ones."""

import logging
from typing import Protocol

_FULL_SHARE = 8
"""One of so many connections is kept for those that are refused, and for health probes."""

_log = logging.getLogger(__name__)


class Evictable(Protocol):
    """A connection."""

    def evict(self) -> None:
        """Close it at once."""


class Connections:
    """The connections of one server, those without a complete request head apart.

    Idle ones and those that send their headers slowly end in favour of new ones, the one that has
    waited longest first: a client sends its headers right after it connects.
    """

    def __init__(self, limit: int, max_held_bytes: int = 64 * 2**20) -> None:
        """`max_held_bytes`: of incomplete heads and pipelined requests of all connections."""
        self.limit = limit
        self._max_requests = limit - max(limit // _FULL_SHARE, 1)
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._open: set[Evictable] = set()
        self._waiting: dict[Evictable, None] = {}

    def open(self, connection: Evictable) -> bool:
        """Add a connection that waits for a request; return False if it is to be refused."""
        if len(self._open) >= self.limit:
            _log.warning("connections.full", extra={"limit": self.limit})
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.close(oldest)
            oldest.evict()
        self._open.add(connection)
        self._waiting[connection] = None
        return True

    def close(self, connection: Evictable) -> None:
        """Remove a connection; no effect if it has been removed."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def begin_request(self, connection: Evictable) -> bool:
        """Protect a connection from eviction; return False if its request is to be refused."""
        self._waiting.pop(connection, None)
        return len(self._open) - len(self._waiting) <= self._max_requests

    def end_request(self, connection: Evictable) -> None:
        """Expose a connection to eviction again, behind those that wait already."""
        if connection in self._open:
            self._waiting[connection] = None

    def hold(self, change: int) -> bool:
        """Count buffered bytes; return False while there are too many."""
        self._held_bytes += change
        return self._held_bytes <= self._max_held_bytes
