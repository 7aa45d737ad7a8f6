"""Draining: from SIGTERM on nothing new is taken, and at the deadline what is left is told so."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Drain:
    """Say whether the process is shutting down, and end what outlives the deadline.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        """Start out serving."""
        self.draining = False
        """True from SIGTERM on: /readyz answers 503."""
        self.expired = False
        """True once the deadline has passed: what still runs is being ended."""
        self._on_deadline: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Stop being ready."""
        self.draining = True

    def expire(self) -> None:
        """End everything that still runs."""
        self.draining = self.expired = True
        for callback in tuple(self._on_deadline):
            callback()

    @contextmanager
    def guard(self, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the deadline passes inside the block, or has passed when it begins.

        It must be quick and not raise.
        """
        if self.expired:
            end()
        self._on_deadline.add(end)
        try:
            yield
        finally:
            self._on_deadline.discard(end)


def pass_now(deadline: asyncio.Timeout) -> None:
    """Let a deadline pass at once; one that has passed cannot be moved."""
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())
