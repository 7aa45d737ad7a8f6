"""The bound of a server's connections, and which of them end in favour of others."""

import logging
from typing import Protocol

_FULL_SHARE = 8
"""One of so many connections is kept for those that are refused, and for health probes."""

_log = logging.getLogger(__name__)


class Evictable(Protocol):
    """A connection."""

    def evict(self) -> None:
        """Close it at once."""

    def refuse_body(self) -> None:
        """Refuse the request, whose body is incomplete."""


class Connections:
    """The connections of one server: those that wait for a request, receive a body, or are served.

    Idle ones and those that send their headers slowly end in favour of new ones, the one that has
    waited longest first: a client sends its headers right after it connects. When requests are too
    many, an incomplete one is refused: the oldest of the client address that has most of them.
    """

    def __init__(self, limit: int, max_held_bytes: int = 64 * 2**20) -> None:
        """`max_held_bytes`: of incomplete heads and pipelined requests of all connections."""
        self.limit = limit
        self._max_requests = limit - max(limit // _FULL_SHARE, 1)
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._open: dict[Evictable, str] = {}
        """With the addresses of their clients."""
        self._waiting: dict[Evictable, None] = {}
        self._receiving: dict[str, dict[Evictable, None]] = {}
        """By address."""

    def open(self, connection: Evictable, address: str) -> bool:
        """Add a connection that waits for a request; return False if it is to be refused."""
        if len(self._open) >= self.limit:
            _log.warning("connections.full", extra={"limit": self.limit})
            if not self._waiting and not self._refuse_body():
                return False
            oldest = next(iter(self._waiting))
            self.close(oldest)
            oldest.evict()
        self._open[connection] = address
        self._waiting[connection] = None
        return True

    def close(self, connection: Evictable) -> None:
        """Remove a connection; no effect if it has been removed."""
        if connection in self._open:
            self.complete_request(connection)
            self._waiting.pop(connection, None)
            del self._open[connection]

    def begin_request(self, connection: Evictable) -> bool:
        """Count a request whose head is complete; return False if it is to be refused."""
        self._waiting.pop(connection, None)
        is_full = len(self._open) - len(self._waiting) > self._max_requests
        is_admitted = not is_full or self._refuse_body()
        self._receiving.setdefault(self._open[connection], {})[connection] = None
        return is_admitted

    def complete_request(self, connection: Evictable) -> None:
        """Protect a connection whose request is complete."""
        address = self._open[connection]
        receiving = self._receiving.get(address, {})
        receiving.pop(connection, None)
        if not receiving:
            self._receiving.pop(address, None)

    def end_request(self, connection: Evictable) -> None:
        """Expose a connection to eviction again, behind those that wait already."""
        if connection in self._open:
            self.complete_request(connection)
            self._waiting[connection] = None

    def _refuse_body(self) -> bool:
        """Refuse an incomplete request in favour of another; return False if there is none."""
        if not self._receiving:
            return False
        most = max(self._receiving.values(), key=len)
        oldest = next(iter(most))
        self.end_request(oldest)
        oldest.refuse_body()
        return True

    def hold(self, change: int) -> bool:
        """Count buffered bytes; return False while there are too many."""
        self._held_bytes += change
        return self._held_bytes <= self._max_held_bytes
