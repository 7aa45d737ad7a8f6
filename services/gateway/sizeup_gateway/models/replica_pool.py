"""The replicas of one model and the choice among them. Pure; belongs to one event loop."""

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
    hung: bool = False
    """Whether it stays ready although it does not respond, since it is the only one."""
    in_flight: int = 0
    """Requests of this gateway only; other gateways count their own."""
    model_id: str | None = None
    """As it reported when it became ready; None before."""
    state: str | None = None
    """As /readyz last reported it; None if it did not respond."""
    progress: float | None = None
    """Progress of the state, 0 to 1; None if not reported."""
    stage: str | None = None
    """What is in progress, or why it failed; None if not reported."""
    expires_at: float | None = None
    """Unix time from which it may be unloaded if idle; None is never."""


class ReplicaPool:
    """Least-requests load balancing over the ready replicas."""

    def __init__(self, urls: Iterable[str] = ()) -> None:
        """Replicas start as not ready; discovery updates them."""
        self.replicas: tuple[Replica, ...] = ()
        self._next = 0
        self._removed: list[Replica] = []
        """No longer in `replicas`, with requests in flight."""
        self._on_change: list[Callable[[], None]] = []
        self.set_endpoints(urls)

    @property
    def ready_count(self) -> int:
        return sum(replica.ready for replica in self.replicas)

    @property
    def responds(self) -> bool:
        """Whether a replica is ready that is not known to hang."""
        return any(replica.ready and not replica.hung for replica in self.replicas)

    @property
    def in_flight(self) -> int:
        """Number of leases, those of removed replicas included."""
        return sum(replica.in_flight for replica in (*self.replicas, *self._removed))

    def set_endpoints(self, urls: Iterable[str]) -> None:
        """Replace the replicas. One that stays keeps its state; one that goes keeps its leases.

        New ones are not ready until discovery updates them.
        """
        known = {replica.url: replica for replica in self.replicas}
        wanted = dict.fromkeys(url.rstrip("/") for url in urls)
        if tuple(wanted) == tuple(known):
            return
        self._removed += [r for url, r in known.items() if url not in wanted and r.in_flight]
        self.replicas = tuple(known.get(url) or Replica(url) for url in wanted)
        self._next = 0

    def on_change(self, call: Callable[[], None]) -> None:
        """Register a callback for each change of a replica's readiness or state."""
        self._on_change.append(call)

    def set_ready(self, replica: Replica, *, ready: bool) -> None:
        became_ready = ready and not replica.ready
        replica.ready = ready
        if became_ready:
            self.report_change()

    def set_state(self, replica: Replica, state: str | None) -> None:
        changed = state != replica.state
        replica.state = state
        if changed:
            self.report_change()

    def report_change(self) -> None:
        """Call what was registered, for a change of the model that is no replica's."""
        for call in self._on_change:
            call()

    def pick(self, avoid: Replica | None = None) -> Replica | None:
        """Return the ready replica with the fewest requests, ties round-robin; None without any.

        The one to avoid is returned only if it is the only one.
        """
        rotated = self.replicas[self._next :] + self.replicas[: self._next]
        ready = [r for r in rotated if r.ready]
        others = [r for r in ready if r is not avoid] or ready
        return min(others, key=lambda r: (r.hung, r.in_flight), default=None)

    @contextmanager
    def lease(self, avoid: Replica | None = None) -> Iterator[Replica]:
        """Pick a replica and count a request on it while the block runs; raise NoReplicaError."""
        replica = self.pick(avoid)
        if replica is None:
            raise NoReplicaError
        self._next = (self.replicas.index(replica) + 1) % len(self.replicas)
        replica.in_flight += 1
        try:
            yield replica
        finally:
            replica.in_flight -= 1
            if not replica.in_flight and replica in self._removed:
                self._removed.remove(replica)
