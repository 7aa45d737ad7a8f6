"""The lifetime of a connection: what it waits for, for how long, and how it ends."""

import asyncio
from enum import Enum, auto
from typing import ClassVar, cast

from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sizeup_telemetry import request_id
from sizeup_telemetry.http import head
from sizeup_telemetry.http.backlog import Backlog, leave
from sizeup_telemetry.http.connections import Connections
from sizeup_telemetry.http.cycle import Cycle
from sizeup_telemetry.http.half_close import EARLY_SECONDS, HalfClosed
from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.pieces import Pieces
from sizeup_telemetry.http.refusal import Refusal, Refuse, encode


class Phase(Enum):
    """What a connection waits for."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()
    RESPONSE = auto()
    CLOSE = auto()
    """By the client: everything is sent, and input is discarded."""


class InputFlow(FlowControl):
    """uvicorn's flow control, which an application resumes whenever it waits for a message."""

    stopped = False
    """True while input would be buffered behind the current request."""

    def resume_reading(self) -> None:
        if not self.stopped:
            super().resume_reading()

    def stop_reading(self) -> None:
        self.stopped = True
        self.pause_reading()

    def start_reading(self) -> None:
        self.stopped = False
        self.resume_reading()


class ConnectionProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline for every phase."""

    limits: ClassVar[Limits]
    refuse: ClassVar[Refuse]
    open_connections: ClassVar[Connections]
    backlog: ClassVar[Backlog]

    flow: InputFlow
    cycle: Cycle | None  # type: ignore[assignment]  # None without a request
    _phase = Phase.REQUEST
    _timer: asyncio.TimerHandle | None = None
    _timed: Phase | None = None
    """The phase of the timer."""
    _stalled: asyncio.TimerHandle | None = None
    _half_closed: HalfClosed | None = None
    _lingers_until = 0.0
    _complete_at = 0.0
    """When the last request was complete. Times are the loop's."""
    _piece = b""
    """The last input that the parser was given."""
    _held = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = InputFlow(transport)
        self.url, self.headers = b"", []
        self._input = Pieces()
        if self.open_connections.open(self, self.client[0] if self.client else ""):
            self._set_timer()
        else:
            self._write_refusal(head.OVERLOADED)
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection for the response to its client."""
        if not self._may_be_half_closed():
            return False
        assert self.cycle is not None
        self.cycle.keep_alive = False
        self._half_closed = HalfClosed(self.loop, self.transport, self._may_send_interim)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._stalled, self._half_closed):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.open_connections.close(self)
        self._phase = Phase.CLOSE
        self._forget()
        self.scope = None  # type: ignore[assignment]  # as uvicorn initializes it

    def evict(self) -> None:
        self.transport.abort()

    def refuse_body(self) -> None:
        """Refuse in favour of another connection; a response cannot be taken back."""
        if self.cycle is not None and self.cycle.response_started:
            self.evict()
        else:
            self._refuse(head.OVERLOADED)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def is_closing(self) -> bool:
        return self._phase is Phase.CLOSE or self.transport.is_closing()

    def close(self) -> None:
        """Close after a response."""
        if self._phase is Phase.BODY or self._input or self.flow.read_paused:
            self._linger()
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(
            self.limits.stalled_write_seconds, self.transport.abort
        )

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self, refusal: Refusal) -> None:
        """Respond to what has been received, unless a response is being sent, and close."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started:
            self._phase = Phase.RESPONSE
            self.flow.stop_reading()
            return
        if cycle is not None:
            cycle.disconnect()
        self._write_refusal(refusal)
        self._linger()

    def _respond(self, refusal: Refusal) -> Response:
        """Return the response to what has been received, with its request id."""
        id = request_id.of(self.headers)
        token = request_id.current.set(id)
        try:
            response = type(self).refuse(head.path_of(self.url, self._piece), refusal)
        finally:
            request_id.current.reset(token)
        response.headers[request_id.HEADER] = id
        return response

    def _write_refusal(self, refusal: Refusal) -> None:
        response = self._respond(refusal)
        response.headers["Connection"] = "close"
        has_body = self._phase is Phase.REQUEST or self.parser.get_method() != b"HEAD"
        defaults = self.server_state.default_headers
        self.transport.write(encode(response, defaults, has_body=has_body))

    def _linger(self) -> None:
        """Close in an orderly way: unread input would reset the connection, and lose the output."""
        self._phase = Phase.CLOSE
        self._forget()
        self.open_connections.end_request(self)
        self.flow.start_reading()
        self._lingers_until = self.loop.time() + self.limits.lingering_seconds
        try:
            self.transport.write_eof()
        except OSError:  # the client has closed
            self.transport.abort()
        else:
            self._linger_on()

    def _linger_on(self) -> None:
        remaining = self._lingers_until - self.loop.time()
        seconds = min(self.limits.lingering_idle_seconds, max(remaining, 0.0))
        self._set_timer_to(seconds)

    def _forget(self) -> None:
        if self.scope is not None:
            leave(cast(Scope, self.scope))
        self._input.clear()
        self._hold(0)
        self.cycle, self.headers, self.url, self._piece = None, [], b"", b""

    def _hold(self, size: int) -> bool:
        """Count the buffered input; return False when that of all connections is too much."""
        change, self._held = size - self._held, size
        return self.open_connections.hold(change)

    def _may_be_half_closed(self) -> bool:
        waits = self.cycle is not None and not self.cycle.response_started
        is_early = self.loop.time() - self._complete_at <= EARLY_SECONDS
        return self._phase is Phase.RESPONSE and waits and is_early

    def _may_send_interim(self) -> bool:
        cycle = self.cycle
        if cycle is None or cycle.response_started:
            return False
        return cycle.scope["http_version"] != "1.0"  # it has no interim responses

    def _set_timer(self) -> None:
        """Start the timer of a new phase, or that of a body again."""
        if self._phase is self._timed and self._phase is not Phase.BODY:
            return
        self._timed = self._phase
        match self._phase:
            case Phase.REQUEST:
                self._set_timer_to(self.timeout_keep_alive)
            case Phase.HEAD:
                self._set_timer_to(self.limits.header_seconds)
            case Phase.BODY:
                self._set_timer_to(self.limits.body_idle_seconds)
            case Phase.RESPONSE:  # the application's deadlines end it
                self._set_timer_to(None)

    def _set_timer_to(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_out)

    def _time_out(self) -> None:
        match self._phase:
            case Phase.HEAD:
                self._refuse(head.HEADER_TIMEOUT)
            case Phase.BODY if self._client_may_send():
                self._refuse(head.BODY_TIMEOUT)
            case Phase.BODY:
                self._set_timer()
            case _:  # unsent output has exceeded the stalled-write timeout by now
                self.transport.abort()

    def _client_may_send(self) -> bool:
        """Whether nothing but the client delays the body, and something needs it."""
        cycle = self.cycle
        if cycle is None or cycle.response_started:
            return False
        return not (self.flow.read_paused or cycle.waiting_for_100_continue)
