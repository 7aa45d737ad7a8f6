"""The way from the compute thread to the event loop: one wake-up per step, bounded per request."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Cancelled, Embedded, EngineEvent, Failed, Token
from sizeup_wire.errors import ErrorCode

CAPACITY = 4096
"""Events a reader may lag behind: some 40 s of a 100 tokens/s stream, under a megabyte. What
is told of a prompt comes on top: some megabytes for a long one, bounded by the context."""

ALIVE_CHECK_SECONDS = 5.0
"""A silent engine is asked this often whether it lives; a dying one says so itself, so this only
covers a thread that ended without a word."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """This side ended the request: the reader lagged, or the process is shutting down."""

    code: ErrorCode
    message: str


MailboxEvent = EngineEvent | Interrupted


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """How far a reader may lag, and how long it waits before it asks after the engine."""

    capacity: int
    alive_check_seconds: float


class Mailbox:
    """Events of one request, in order; nothing is accepted after the terminal one.

    Belongs to the event loop.
    """

    def __init__(
        self, choices: int, on_overflow: Callable[[], None], limits: MailboxLimits
    ) -> None:
        """Expect the ends of this many choices."""
        self._events: deque[MailboxEvent] = deque()
        self._arrived = asyncio.Event()
        self._open_choices = choices
        self._on_overflow = on_overflow
        self._limits = limits
        self._closed = False

    def put(self, event: EngineEvent) -> None:
        """Add an event, or end the request when its reader is too far behind."""
        if self._closed:
            return
        if len(self._events) >= self._limits.capacity:
            self._events.clear()
            self.interrupt(ErrorCode.SLOW_CONSUMER, "the answer was not read fast enough")
            self._on_overflow()
            return
        self._append(event)

    def interrupt(self, code: ErrorCode, message: str) -> None:
        """End the request from this side."""
        if not self._closed:
            self._append(Interrupted(code, message))

    async def take_while(self, is_alive: Callable[[], bool]) -> Sequence[MailboxEvent]:
        """Wait for events as long as the engine lives, and return all there are."""
        while True:
            try:
                async with asyncio.timeout(self._limits.alive_check_seconds):
                    return await self.take()
            except TimeoutError:
                if not is_alive():
                    return [Interrupted(ErrorCode.INTERNAL, "the engine stopped")]

    async def take(self) -> Sequence[MailboxEvent]:
        """Wait for events and return all there are; at least one."""
        await self._arrived.wait()
        self._arrived.clear()
        events = tuple(self._events)
        self._events.clear()
        return events

    def _append(self, event: MailboxEvent) -> None:
        self._closed = self._is_terminal(event)
        self._events.append(event)
        self._arrived.set()

    def _is_terminal(self, event: MailboxEvent) -> bool:
        if isinstance(event, Token) and event.finish is not None:
            self._open_choices -= 1
            return self._open_choices == 0
        return isinstance(event, Embedded | Cancelled | Failed | Interrupted)


class Mailboxes:
    """The mailboxes of all requests in flight, by request id."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        capacity: int = CAPACITY,
        alive_check_seconds: float = ALIVE_CHECK_SECONDS,
        on_step: Callable[[int], None] | None = None,
    ) -> None:
        """Deliver on this loop; tell `on_step` how many tokens each step made."""
        self._loop = loop
        self._limits = MailboxLimits(capacity, alive_check_seconds)
        self._on_step = on_step
        self._boxes: dict[str, Mailbox] = {}

    def deliver(self, batch: Sequence[EngineEvent]) -> None:
        """Pass on what one step made; the one method for the compute thread, never blocks."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._fan_out, batch)

    @contextlib.contextmanager
    def open(
        self, request_id: str, *, choices: int, on_overflow: Callable[[], None]
    ) -> Iterator[Mailbox]:
        """Hold a mailbox under this id inside the block; open it before submitting."""
        box = Mailbox(choices, on_overflow, self._limits)
        self._boxes[request_id] = box
        try:
            yield box
        finally:
            del self._boxes[request_id]

    def __len__(self) -> int:
        """Count the requests in flight."""
        return len(self._boxes)

    def _fan_out(self, batch: Sequence[EngineEvent]) -> None:
        for event in batch:
            box = self._boxes.get(event.request_id)
            if box is not None:
                box.put(event)
        if self._on_step is not None:
            self._on_step(sum(isinstance(event, Token) for event in batch))
