"""Graceful shutdown: reject new requests from SIGTERM on, fail what is left at the deadline."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Drain:
    """The shutdown state of a process; ends requests that outlive the deadline.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self.draining = False
        """True from SIGTERM on: /readyz returns 503."""
        self.expired = False
        """True once the deadline has passed and the remaining requests are being failed."""
        self._on_deadline: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Become unready."""
        self.draining = True

    def expire(self) -> None:
        """Fail every request that still runs."""
        self.draining = self.expired = True
        for callback in tuple(self._on_deadline):
            callback()

    @contextmanager
    def guard(self, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the deadline passes inside the block, or had passed before it.

        `end` must return quickly and not raise.
        """
        if self.expired:
            end()
        self._on_deadline.add(end)
        try:
            yield
        finally:
            self._on_deadline.discard(end)


def expire_now(deadline: asyncio.Timeout) -> None:
    """Expire a timeout at once; no effect if it has expired."""
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())
