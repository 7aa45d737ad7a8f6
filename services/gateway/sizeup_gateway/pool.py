"""The replicas of one model. Pure: no clock, no I/O; belongs to one event loop."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class NoReplicaError(Exception):
    """No replica is ready."""


@dataclass(slots=True, eq=False)
class Replica:
    """One inference process."""

    url: str
    ready: bool = False
    in_flight: int = 0
    """Requests of this gateway only; other gateways have their own counts."""


class Pool:
    """Choose the least busy of the ready replicas."""

    def __init__(self, urls: Iterable[str]) -> None:
        """Start with every replica down until discovery says otherwise."""
        self.replicas = tuple(Replica(url.rstrip("/")) for url in urls)
        self._turn = 0

    @property
    def ready_count(self) -> int:
        """Count the replicas that take requests."""
        return sum(replica.ready for replica in self.replicas)

    def pick(self, avoid: Replica | None = None) -> Replica | None:
        """Return the ready replica with the fewest requests, ties in turn; None if none is ready.

        The one to avoid is taken only when there is no other.
        """
        ready = [r for r in self._in_turn() if r.ready]
        others = [r for r in ready if r is not avoid] or ready
        return min(others, key=lambda r: r.in_flight, default=None)

    @contextmanager
    def lease(self, avoid: Replica | None = None) -> Iterator[Replica]:
        """Count a request on the picked replica while the block runs; raise NoReplicaError."""
        replica = self.pick(avoid)
        if replica is None:
            raise NoReplicaError
        self._turn = (self.replicas.index(replica) + 1) % len(self.replicas)
        replica.in_flight += 1
        try:
            yield replica
        finally:
            replica.in_flight -= 1

    def _in_turn(self) -> tuple[Replica, ...]:
        return self.replicas[self._turn :] + self.replicas[: self._turn]
