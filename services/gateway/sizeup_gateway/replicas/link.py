"""What is in progress on one replica: it is ended when the replica does not respond."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Link:
    """The requests of this process to one replica. Belongs to one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._interrupts: set[Callable[[], None]] = set()
        self.heard_at = self._loop.time()
        """When the replica last sent an event, by the clock of the event loop."""
        self.interruptions = 0
        self.is_older = False
        """Whether the replica is of a release that rejects fields of this one."""

    def note_data(self) -> None:
        self.heard_at = self._loop.time()

    @contextmanager
    def interruptible(self, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the replica is found unresponsive inside the block."""
        self._interrupts.add(end)
        try:
            yield
        finally:
            self._interrupts.discard(end)

    def interrupt(self) -> int:
        """End what is in progress; return how much that was."""
        self.interruptions += 1
        ends = tuple(self._interrupts)
        for end in ends:
            end()
        return len(ends)
