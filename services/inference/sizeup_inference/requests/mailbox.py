"""Events from the compute thread to the event loop: one wake-up per step, bounded per request."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Cancelled, Embedded, EngineEvent, Failed, Token
from sizeup_wire.errors import ErrorCode

CAPACITY = 4096
"""Events buffered for a slow reader: some 40 s of a stream of 100 tokens/s, below a megabyte. A
prompt's log-probabilities add some megabytes, bounded by the context length."""

ALIVE_CHECK_SECONDS = 5.0
"""Interval of checking an engine without events; a dying one fails its requests, so this covers
only a thread that ended without delivering anything."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ended on the event loop's side: the client was too slow, or the process is shutting down."""

    code: ErrorCode
    message: str


MailboxEvent = EngineEvent | Interrupted


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """Bounds of each mailbox."""

    capacity: int
    alive_check_seconds: float


class Mailbox:
    """Events of one request, in order; nothing is accepted after the terminal one.

    Belongs to the event loop.
    """

    def __init__(
        self, choices: int, on_overflow: Callable[[], None], limits: MailboxLimits
    ) -> None:
        self._events: deque[MailboxEvent] = deque()
        self._arrived = asyncio.Event()
        self._open_choices = choices
        self._on_overflow = on_overflow
        self._limits = limits
        self._closed = False
        self._alive_check: asyncio.TimerHandle | None = None
        self.is_finished = False
        """Whether the engine has delivered the terminal event."""

    def put(self, event: EngineEvent) -> None:
        """Add an event, or interrupt the request when the buffer is full."""
        if self._closed:
            return
        if len(self._events) >= self._limits.capacity:
            self._events.clear()
            self.interrupt(ErrorCode.SLOW_CONSUMER, "client too slow, output buffer full")
            self._on_overflow()
            return
        self._closed = self.is_finished = self._is_terminal(event)
        self._append(event)

    def interrupt(self, code: ErrorCode, message: str) -> None:
        """End the request without the engine."""
        if not self._closed:
            self._closed = True
            self._append(Interrupted(code, message))

    async def take_while(self, is_alive: Callable[[], bool]) -> Sequence[MailboxEvent]:
        """Take events; without any, fail once the engine is dead."""
        if self._alive_check is None:  # one timer for all takes: most wait for milliseconds
            self._check_later(is_alive)
        return await self.take()

    def close(self) -> None:
        """End the checks of `take_while`."""
        if self._alive_check is not None:
            self._alive_check.cancel()

    def _check_later(self, is_alive: Callable[[], bool]) -> None:
        loop, seconds = asyncio.get_running_loop(), self._limits.alive_check_seconds
        self._alive_check = loop.call_later(seconds, self._check, is_alive)

    def _check(self, is_alive: Callable[[], bool]) -> None:
        if is_alive():
            self._check_later(is_alive)
        else:
            self.interrupt(ErrorCode.INTERNAL, "the engine stopped")

    async def take(self) -> Sequence[MailboxEvent]:
        """Wait for events and return all of them, at least one."""
        await self._arrived.wait()
        self._arrived.clear()
        events = tuple(self._events)
        self._events.clear()
        return events

    def _append(self, event: MailboxEvent) -> None:
        self._events.append(event)
        self._arrived.set()

    def _is_terminal(self, event: EngineEvent) -> bool:
        if isinstance(event, Token) and event.finish is not None:
            self._open_choices -= 1
            return self._open_choices == 0
        return isinstance(event, Embedded | Cancelled | Failed)


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
        """`on_step` is called on the loop with the number of choices that got tokens in a step."""
        self._loop = loop
        self._limits = MailboxLimits(capacity, alive_check_seconds)
        self._on_step = on_step
        self._boxes: dict[str, Mailbox] = {}

    def deliver(self, batch: Sequence[EngineEvent]) -> None:
        """Pass on the events of one step. Never blocks; the only method for the compute thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and all requests with it
            self._loop.call_soon_threadsafe(self._fan_out, batch)

    @contextlib.contextmanager
    def open(
        self, request_id: str, *, choices: int, on_overflow: Callable[[], None]
    ) -> Iterator[Mailbox]:
        """Register a mailbox inside the block; enter it before the request is submitted."""
        box = Mailbox(choices, on_overflow, self._limits)
        self._boxes[request_id] = box
        try:
            yield box
        finally:
            box.close()
            del self._boxes[request_id]

    def __len__(self) -> int:
        """Return the number of requests in flight."""
        return len(self._boxes)

    def _fan_out(self, batch: Sequence[EngineEvent]) -> None:
        for event in batch:
            box = self._boxes.get(event.request_id)
            if box is not None:
                box.put(event)
        if self._on_step is not None:
            tokens = (event for event in batch if isinstance(event, Token))
            self._on_step(len({(token.request_id, token.choice) for token in tokens}))
