"""Requests that have arrived and wait for the event loop, which are bounded by what can be served.

An overloaded loop otherwise takes in everything, and lets what it could serve wait behind what it
will refuse.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from starlette.types import Scope

from sizeup_telemetry.http.refusal import Header, Refusal
from sizeup_telemetry.places import Places

ClientOf = Callable[[Sequence[Header], str], str]
"""The name of a client by its headers and its address, neither of them checked."""

FULL = Refusal(503, "too many concurrent requests, please try again")

_SCOPE_KEY = "sizeup.leave_backlog"


class Backlog:
    """Belongs to one event loop."""

    def __init__(
        self,
        counts: Callable[[str], bool] = lambda _path: False,
        room: Callable[[], int] = lambda: 0,
        client_of: ClientOf = lambda _headers, peer: peer,
    ) -> None:
        """`counts`: whether requests of a path are; `room`: how many more can be served now."""
        self._counts = counts
        self._client_of = client_of
        self._room = room
        self._places = Places(0)

    def client(self, path: str, headers: Sequence[Header], peer: str) -> str | None:
        """Return the client of a request; None if the request is not counted."""
        return self._client_of(headers, peer) if self._counts(path) else None

    def admits(self, client: str | None) -> bool:
        """Whether a request of `client` is served rather than refused."""
        if client is None:
            return True
        self._places.capacity = self._room()
        return self._places.has_room(client)

    def enter(self, scope: Scope, client: str | None) -> None:
        """Count a request that is complete, until it leaves."""
        if client is not None and self._places.has_room(client):
            held = ExitStack()
            held.enter_context(self._places.held(client))
            scope[_SCOPE_KEY] = held.close


def leave(scope: Scope) -> None:
    """Stop counting a request, which has a place of its own or has ended; again has no effect."""
    done: Callable[[], None] | None = scope.pop(_SCOPE_KEY, None)
    if done is not None:
        done()
