"""The event stream of one response of inference, read in batches as it arrives."""

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

import aiohttp
from pydantic import TypeAdapter

from sizeup_gateway.replicas.link import Link
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Failed

MAX_LINE_BYTES = 8 * 2**20
"""Room for a million token ids of `context`; bounds the memory that a line can take."""

LOST = Failed(code=ErrorCode.UPSTREAM_LOST, message="the inference process closed the connection")
TIMEOUT = Failed(code=ErrorCode.TIMEOUT, message="the inference process timed out")
HUNG = Failed(code=ErrorCode.UPSTREAM_LOST, message="the inference process does not respond")
_MALFORMED = Failed(code=ErrorCode.INTERNAL, message="inference sent a malformed event")

EventT = TypeVar("EventT")


class _EndError(Exception):
    def __init__(self, event: Failed) -> None:
        super().__init__(event.message)
        self.event = event


class EventStream(Generic[EventT]):
    def __init__(
        self, content: aiohttp.StreamReader, adapter: TypeAdapter[EventT], link: Link
    ) -> None:
        self._content = content
        self._link = link
        self._parse = adapter.validate_json
        self._rest = b""
        self._silence = _Silence(content)

    async def read(self, seconds: float) -> Sequence[EventT | Failed]:
        """Return all events that have arrived, at least one; wait this long for data.

        A timeout, the end of the connection and a malformed line are Failed events, the last of
        their batch. Bytes after the last newline are a truncated event and are dropped.
        """
        events: list[EventT | Failed] = []
        try:
            while not events:
                for line in await self._lines(seconds):
                    events.append(self._parse(line))  # keeps those before a bad one
        except _EndError as end:
            events.append(end.event)
        except (aiohttp.ClientError, OSError):
            events.append(LOST)
        except ValueError:
            events.append(_MALFORMED)
        return events

    async def _lines(self, seconds: float) -> Sequence[bytes]:
        self._silence.begin(seconds)
        try:
            chunk = await self._content.readany()
        finally:
            self._silence.end()
        if not chunk:
            raise _EndError(LOST)
        self._link.note_data()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise _EndError(_MALFORMED)
        return lines

    def interrupt(self) -> None:
        """End the stream if it is being read: its replica does not respond."""
        self._silence.interrupt(HUNG)

    def close(self) -> None:
        self._silence.close()


class _Silence:
    """Ends a read without data. One timer serves all reads: it is moved when it fires."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._until: float | None = None
        """None while nothing is read."""

    def begin(self, seconds: float) -> None:
        self._until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._until:
            self.close()
            self._timer = self._loop.call_at(self._until, self._fire)

    def end(self) -> None:
        self._until = None

    def interrupt(self, event: Failed) -> None:
        if self._until is not None:
            self._content.set_exception(_EndError(event))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._fire)
        else:
            self.interrupt(TIMEOUT)
