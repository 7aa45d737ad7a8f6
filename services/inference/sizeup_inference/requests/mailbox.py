"""Events from the compute thread to the event loop: one wake-up per step, bounded per request."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import (
    Admitted,
    Cancelled,
    Embedded,
    EngineEvent,
    Failed,
    PromptLogprobs,
    Token,
)
from sizeup_wire.errors import ErrorCode

CAPACITY = 4096
"""Events buffered for a slow reader: some 40 s of a stream of 100 tokens/s, below a megabyte. A
prompt's log-probabilities add some megabytes, bounded by the context length."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ended without a result: by the engine, a client that is too slow, or a shutdown."""

    code: ErrorCode
    message: str


MailboxEvent = Admitted | PromptLogprobs | Token | Embedded | Interrupted


class Mailbox:
    """Events of one request, in order; nothing is accepted after the terminal one.

    Belongs to the event loop.
    """

    def __init__(self, choices: int, on_overflow: Callable[[], None], capacity: int) -> None:
        self._events: deque[MailboxEvent] = deque()
        self._arrived = asyncio.Event()
        self._open_choices = choices
        self._on_overflow = on_overflow
        self._capacity = capacity
        self._closed = False
        self.is_finished = False
        """Whether the engine has delivered the terminal event."""

    def put(self, event: EngineEvent) -> None:
        """Add an event, or interrupt the request when the buffer is full."""
        if self._closed:
            return
        if len(self._events) >= self._capacity:
            self._events.clear()
            self.interrupt(ErrorCode.SLOW_CONSUMER, "client too slow, output buffer full")
            self._on_overflow()
            return
        if isinstance(event, Cancelled | Failed):
            self.is_finished = True
            self.interrupt(*_error(event))
            return
        self._closed = self.is_finished = self._is_terminal(event)
        self._append(event)

    def interrupt(self, code: ErrorCode, message: str) -> None:
        """End the request without the engine."""
        if not self._closed:
            self._closed = True
            self._append(Interrupted(code, message))

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
        if isinstance(event, Token):
            self._open_choices -= event.finish is not None
            return not self._open_choices
        return isinstance(event, Embedded)


def _error(event: Cancelled | Failed) -> tuple[ErrorCode, str]:
    if isinstance(event, Cancelled):  # unexpected: a request is cancelled after its last read
        return ErrorCode.INTERNAL, "the engine ended the request"
    return ErrorCode.INVALID_REQUEST if event.is_invalid else ErrorCode.INTERNAL, event.message


class Mailboxes:
    """The mailboxes of all requests in flight, by request id."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        capacity: int = CAPACITY,
        on_step: Callable[[int], None] | None = None,
    ) -> None:
        """`on_step` is called on the loop with the number of choices that got tokens in a step."""
        self._loop = loop
        self._capacity = capacity
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
        box = Mailbox(choices, on_overflow, self._capacity)
        self._boxes[request_id] = box
        try:
            yield box
        finally:
            del self._boxes[request_id]

    def interrupt(self, code: ErrorCode, message: str) -> None:
        """End every request in flight without the engine."""
        for box in self._boxes.values():
            box.interrupt(code, message)

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
