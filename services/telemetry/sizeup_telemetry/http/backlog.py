"""Requests that have arrived and wait for the event loop, which are bounded by what can be served.

An overloaded loop otherwise takes in everything, and lets what it could serve wait behind what it
will refuse.
"""

from collections.abc import Callable, Collection, MutableMapping, Sequence
from contextlib import ExitStack
from typing import Any

from sizeup_telemetry.http.refusal import Header
from sizeup_telemetry.places import Places

Scope = MutableMapping[str, Any]
"""As Starlette's."""

ClientOf = Callable[[Sequence[Header], str], str]
"""The name of a client by its headers and its address, neither of them checked."""

_SCOPE_KEY = "sizeup.leave_backlog"


class Backlog:
    """Belongs to one event loop."""

    def __init__(
        self,
        paths: Collection[str] = (),
        room: Callable[[], int] = lambda: 0,
        client_of: ClientOf = lambda _headers, peer: peer,
    ) -> None:
        """`paths`: of the requests that are counted; `room`: how many more can be served now."""
        self.client_of = client_of
        self._paths = paths
        self._room = room
        self._places = Places(0)

    def admits(self, path: str, client: str) -> bool:
        """Whether a request is served rather than refused."""
        if path not in self._paths:
            return True
        self._places.capacity = self._room()
        return self._places.has_room(client)

    def enter(self, scope: Scope, client: str) -> None:
        """Count a request that is complete, until it leaves."""
        if scope["path"] in self._paths and self._places.has_room(client):
            held = ExitStack()
            held.enter_context(self._places.held(client))
            scope[_SCOPE_KEY] = held.close


def leave(scope: Scope) -> None:
    """Stop counting a request, which has a place of its own or has ended; again has no effect."""
    done: Callable[[], None] | None = scope.pop(_SCOPE_KEY, None)
    if done is not None:
        done()
