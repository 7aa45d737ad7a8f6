"""uvicorn's HTTP/1.1 protocol with a bound for every input.

One request is parsed at a time: what follows it is parsed when its response is complete, so that
neither garbage nor further requests touch the response.
"""

import asyncio
from typing import cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from sizeup_telemetry.http import head
from sizeup_telemetry.http.backlog import FULL, Backlog, leave
from sizeup_telemetry.http.chunks import Chunks
from sizeup_telemetry.http.connection import ConnectionProtocol, Phase
from sizeup_telemetry.http.connections import Connections
from sizeup_telemetry.http.cycle import Cycle, without_chunks
from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.refusal import Refuse, json_refusal

PROBE_PATHS = frozenset({"/livez", "/readyz"})
"""Served beyond the limit of requests: the process ends when its liveness probe is refused."""

_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings"})
_PARSED = frozenset({Phase.REQUEST, Phase.HEAD, Phase.BODY})
_TOO_MUCH = {
    Phase.REQUEST: head.BLANK_LINES,
    Phase.HEAD: head.HEADERS_TOO_LARGE,
    Phase.BODY: head.TOO_MUCH_FRAMING,
}
_UNBOUNDED = 10**9
_PIECES_PER_TURN = 4
"""A millisecond of parsing: other connections are served between the parts of one read."""
_CHUNK_BYTES = 16
"""That a chunk counts beside its framing: tiny ones take longer to parse than their bytes."""


class LimitedProtocol(ConnectionProtocol):
    """Parses requests, and refuses what exceeds the limits."""

    _excess = 0
    """Bytes of this phase that are not body, less those that the body allows."""
    _body_left: int | None = None
    """Of a body with a Content-Length."""
    _chunks: Chunks | None = None
    """Of a chunked body."""
    _next_turn: asyncio.Handle | None = None
    _keeps_alive = True
    _client: str | None = None
    """Of a request that the backlog counts."""
    _is_admitted = True
    """By the backlog."""

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.CLOSE:
            self._linger_on()
            return
        self._input.append(data)
        if self._next_turn is None:
            self._advance()

    def shutdown(self) -> None:
        self._keeps_alive = False
        super().shutdown()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase, self._excess = Phase.HEAD, len(self._piece)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.target_bytes:
            raise head.RefusedError(head.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is not Phase.HEAD:
            return  # a trailer
        super().on_header(name, value)
        if len(self.headers) > self.limits.header_count:
            raise head.RefusedError(head.TOO_MANY_HEADERS)

    def on_headers_complete(self) -> None:
        """Start the application."""
        if self._excess > self.limits.header_bytes:
            raise head.RefusedError(head.HEADERS_TOO_LARGE)
        version = self.parser.get_http_version()
        head.check_framing(version, self.headers)
        if self.parser.should_upgrade():
            return
        target = head.parse_target(self.url)
        is_admitted = self.open_connections.begin_request(self)
        if not is_admitted and target.path not in PROBE_PATHS:
            raise head.RefusedError(head.OVERLOADED)
        self.scope["http_version"] = version
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"], self.scope["raw_path"] = target.path, target.raw_path
        self.scope["query_string"] = target.query
        self._keeps_alive = version == "1.1" and self.parser.should_keep_alive()
        self._phase, self._excess = Phase.BODY, 0
        self._body_left = head.content_length(self.headers)
        self._chunks = Chunks() if self._body_left is None else None
        peer = self.client[0] if self.client else ""
        self._client = self.backlog.client(target.path, self.headers, peer)
        self._is_admitted = self.backlog.admits(self._client)
        self._start()

    def on_chunk_header(self) -> None:
        self._excess += _CHUNK_BYTES

    def on_body(self, body: bytes) -> None:
        if self._body_left is not None:
            self._body_left -= len(body)
        self._excess = max(self._excess - 3 * len(body), 0)  # itself, and two bytes for each
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        if self._is_admitted:
            self.backlog.enter(cast(Scope, self.scope), self._client)
        self.open_connections.complete_request(self)
        self._phase, self._excess, self._body_left = Phase.RESPONSE, 0, None
        self._complete_at = self.loop.time()
        assert self.cycle is not None
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive

    def on_response_complete(self) -> None:
        """Go on with what has arrived meanwhile."""
        self.server_state.total_requests += 1
        leave(cast(Scope, self.scope))
        if self.is_closing():
            return
        self._phase = Phase.REQUEST
        self.cycle, self.headers, self.url = None, [], b""
        self.open_connections.end_request(self)
        if not self._input:
            self.flow.start_reading()
        self._advance()

    def _start(self) -> None:
        self.cycle = Cycle(
            type(self).refuse,
            transport=self,
            scope=self.scope,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=False,  # unless the request is complete before the response begins
            on_response=self.on_response_complete,
        )
        is_old = self.scope["http_version"] == "1.0"
        app = self.app if self._is_admitted else self._respond(FULL)
        app = without_chunks(self.cycle, app) if is_old else app
        self._start_asgi_task(self.cycle, app)  # type: ignore[arg-type]  # uvicorn's types

    def _advance(self) -> None:
        """Parse up to the end of one request, and a bounded part of it in one turn of the loop."""
        self._next_turn = None
        for _ in range(_PIECES_PER_TURN):
            if self._may_parse():
                self._parse()
        if self.is_closing():
            return
        if self._may_parse():
            self._next_turn = self.loop.call_soon(self._advance)
        if self._input:
            self.flow.stop_reading()
        elif self.flow.stopped:
            self.flow.start_reading()
            self._pause_for_application()
        self._bound_held()
        self._set_timer()

    def _pause_for_application(self) -> None:
        """Read nothing more, as uvicorn does, until the application takes the body so far."""
        if self.cycle is not None and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _may_parse(self) -> bool:
        return bool(self._input) and self._phase in _PARSED and not self.transport.is_closing()

    def _parse(self) -> None:
        if self._phase is Phase.REQUEST:
            self._skip_line_ends()
        elif self._phase is Phase.HEAD:
            self._feed(self._input.next_lines())
        elif self._body_left is not None:
            self._feed(self._input.next_body(self._body_left))
        elif self._chunks is not None:
            self._feed(self._input.next_chunks(self._chunks))

    def _skip_line_ends(self) -> None:
        self._excess += self._input.drop_line_ends()
        if self._excess > self.limits.header_bytes:
            self._piece = b""
            self._refuse(head.BLANK_LINES)
        elif self._input:
            self._feed(self._input.next_lines())

    def _feed(self, piece: bytes) -> None:
        self._piece = piece
        self._excess += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(head.of_parser_error(error, piece))
        else:
            if self._excess > self.limits.header_bytes:
                self._refuse(_TOO_MUCH[self._phase])

    def _ignore_upgrade(self) -> None:
        """Serve a request with an Upgrade header as plain HTTP/1.1, body included.

        The parser skips its body; Java's HTTP client offers h2c on every request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(head.NO_TUNNEL)
            return
        kept = [(name, value) for name, value in self.headers if name not in _UPGRADE_HEADERS]
        lines = (b"%s: %s\r\n" % header for header in kept)
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, b"".join(lines)))

    def _bound_held(self) -> None:
        """Drop buffered input while the connections together hold too much."""
        in_head = self._phase is Phase.HEAD
        held = len(self._input) + (self._excess if in_head else 0)
        if self._hold(held) or not held:
            return
        if self._phase is not Phase.RESPONSE:
            self._refuse(head.OVERLOADED)
        elif self.cycle is not None:
            self._input.clear()
            self.cycle.keep_alive = False


def limited_protocol(
    limits: Limits,
    refuse: Refuse = json_refusal,
    connections: Connections | None = None,
    backlog: Backlog | None = None,
) -> type[LimitedProtocol]:
    """Return a protocol class: uvicorn instantiates it without arguments of ours.

    `connections` and `backlog` bound those of one server; without them they are unlimited.
    """
    parts = {
        "limits": limits,
        "refuse": staticmethod(refuse),
        "open_connections": connections or Connections(_UNBOUNDED),
        "backlog": backlog or Backlog(),
    }
    return type("Protocol", (LimitedProtocol,), parts)
