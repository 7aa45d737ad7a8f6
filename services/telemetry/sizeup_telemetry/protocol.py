"""uvicorn's HTTP/1.1 protocol with timeouts for every wait and bounds on buffered input."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_TOO_LARGE = "Request headers too large."
_NO_TUNNEL = "CONNECT is not supported."
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class Limits:
    stalled_write_seconds: float
    """Abort a connection whose client reads nothing for this long. An orderly close would wait for
    the client to read the 64 KiB of buffered output; only an abort frees them."""
    header_seconds: float
    """Time for sending the headers of a request."""
    header_bytes: int = 64 * 2**10
    """Header bytes allowed after the first read; h11's default limit."""


class LimitedProtocol(HttpToolsProtocol):
    """Time out stalled clients, slow headers and idle connections."""

    limits: ClassVar[Limits]
    _stalled: asyncio.TimerHandle | None = None
    _headers: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # uvicorn starts its idle timer after the first response only.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        idle, headers = self.timeout_keep_alive_task, self._headers
        self._feed(data)
        if self.transport.is_closing():
            return
        if headers is not None and headers is self._headers:
            self._count_headers(len(data))
        elif idle is not None and self._is_idle():
            # Line breaks between requests, or a body after its response: still idle.
            self.timeout_keep_alive_task = self.loop.call_at(
                idle.when(), self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._headers = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._cancel_header_timer()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(
            self.limits.stalled_write_seconds, self.transport.abort
        )

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stall_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_stall_timer()
        self._cancel_header_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        # Unsent output has exceeded the stalled-write timeout by now.
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        if cycle.scope["http_version"] == "1.0":
            app = _without_chunks(cycle, app)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # uvicorn's own ASGI types

    def _feed(self, data: bytes) -> None:
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve a request with an Upgrade header as plain HTTP/1.1, body included.

        The parser skips its body; Java's HTTP client offers h2c on every request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self.send_400_response(_NO_TUNNEL)
            return
        kept = [(name, value) for name, value in self.headers if name not in _UPGRADE_HEADERS]
        lines = (b"%s: %s\r\n" % header for header in kept)
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _count_headers(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.limits.header_bytes:
            self.send_400_response(_TOO_LARGE)

    def _is_idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self._headers is None and self.timeout_keep_alive_task is None

    def _cancel_stall_timer(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cancel_header_timer(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
            self._headers = None


def _without_chunks(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """End a response of unknown length by closing the connection, as uvicorn does in HTTP/1.0.

    It has no chunked encoding, and is what nginx speaks to its upstreams by default.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        is_unsized = False

        async def send_unchunked(message: Message) -> None:
            nonlocal is_unsized
            if message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message.get("headers", ())]
                is_unsized = b"content-length" not in names
            if is_unsized:  # any length is the one that uvicorn expects
                cycle.chunked_encoding = False
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return run


def limited_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return a protocol class with these limits: uvicorn instantiates it without arguments."""
    return type("Protocol", (LimitedProtocol,), {"limits": limits})
