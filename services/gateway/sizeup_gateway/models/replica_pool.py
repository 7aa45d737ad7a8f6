"""The replicas of one model. Pure: no clock, no I/O; belongs to one event loop."""

from collections.abc import Callable, Iterable, Iterator
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
    state: str | None = None
    """What it last said of itself; None while it says nothing."""
    progress: float | None = None
    """How far it has come with that, 0 to 1, when it says so."""
    expires_at: float | None = None
    """Unix time from which it may go when it is idle; None means that it stays."""


class Pool:
    """Choose the least busy of the ready replicas."""

    def __init__(self, urls: Iterable[str] = ()) -> None:
        """Start with every replica down until discovery says otherwise."""
        self.replicas: tuple[Replica, ...] = ()
        self._turn = 0
        self._leaving: list[Replica] = []
        """Gone from the list, and still at work on what they had begun."""
        self._on_ready: list[Callable[[], None]] = []
        self.set_endpoints(urls)

    @property
    def ready_count(self) -> int:
        """Count the replicas that take requests."""
        return sum(replica.ready for replica in self.replicas)

    @property
    def in_flight(self) -> int:
        """Count the requests that hold a lease, those of vanished replicas included."""
        return sum(replica.in_flight for replica in (*self.replicas, *self._leaving))

    def set_endpoints(self, urls: Iterable[str]) -> None:
        """Replace the list. A replica that stays keeps its counts; one that goes keeps its leases.

        One that is new is down until discovery says otherwise.
        """
        known = {replica.url: replica for replica in self.replicas}
        wanted = dict.fromkeys(url.rstrip("/") for url in urls)
        if tuple(wanted) == tuple(known):
            return
        self._leaving += [r for url, r in known.items() if url not in wanted and r.in_flight]
        self.replicas = tuple(known.get(url) or Replica(url) for url in wanted)
        self._turn = 0

    def on_ready(self, call: Callable[[], None]) -> None:
        """Call back whenever a replica begins to take requests."""
        self._on_ready.append(call)

    def set_ready(self, replica: Replica, *, ready: bool) -> None:
        """Say whether a replica takes requests."""
        began = ready and not replica.ready
        replica.ready = ready
        if began:
            for call in self._on_ready:
                call()

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
            if not replica.in_flight and replica in self._leaving:
                self._leaving.remove(replica)

    def _in_turn(self) -> tuple[Replica, ...]:
        return self.replicas[self._turn :] + self.replicas[: self._turn]
