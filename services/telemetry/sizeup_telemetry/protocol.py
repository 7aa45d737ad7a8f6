"""HTTP/1.1 as uvicorn speaks it, with an end to every wait and a bound on what is kept."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = "Request headers too large."
_NO_TUNNEL = "CONNECT is not served here."
_OF_UPGRADES = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take."""

    stalled_write_seconds: float
    """A connection whose reader takes nothing for so long is cut. By then 64 KiB wait for it, and
    nothing short of an abort frees them: a polite close would wait for the reader as well."""
    header_seconds: float
    """Time for sending the headers of a request."""
    header_bytes: int = 64 * 2**10
    """Headers that take more than one read may have so much beside the first; h11's own limit."""


class LimitedProtocol(HttpToolsProtocol):
    """Wait for ever neither for a stalled reader, nor for slow headers, nor for an idle client."""

    limits: ClassVar[Limits]
    _stalled: asyncio.TimerHandle | None = None
    _headers: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # uvicorn starts its idle timer after a reply only; this one is for who never asks.
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
            # Line ends between requests, or a body whose answer is sent: the wait goes on.
            self.timeout_keep_alive_task = self.loop.call_at(
                idle.when(), self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._headers = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._forget_headers()
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
        self._forget_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_stall()
        self._forget_headers()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        # Whatever is still unsent now has waited longer than any reader may take.
        self.transport.abort()

    def _feed(self, data: bytes) -> None:
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _stay(self, rest: bytes) -> None:
        """Serve a request that offers to upgrade as the HTTP/1.1 it is, body included.

        The parser skips its body; Java's HTTP client offers h2c on every request it sends.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self.send_400_response(_NO_TUNNEL)
            return
        kept = [(name, value) for name, value in self.headers if name not in _OF_UPGRADES]
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

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _forget_headers(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
            self._headers = None


def limited_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Make a protocol class for one server: uvicorn gives instances no settings of ours."""
    return type("Protocol", (LimitedProtocol,), {"limits": limits})
