"""Clients that send EOF while their request is being answered.

Those that have closed the connection must be noticed at once: decoding has to stop. Those that
have only closed their side of it (`nc`, `shutdown(SHUT_WR)`) expect the response. Both look alike,
and nginx, Go's net/http and hyper treat both as disconnected. The difference shows when something
is sent: the kernel of a client that has closed responds with a reset.
"""

import asyncio
import socket
from collections.abc import Callable

EARLY_SECONDS = 0.25
"""EOF of a client that is done sending follows its request at once; later it is a disconnect. Also
the time until the first probe, so that fast responses go without."""
_POLL_SECONDS = 0.1
"""A disconnect is noticed in EARLY_SECONDS, a round trip and this."""

_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Clients of HTTP/1.1 must accept it unasked before a response (RFC 9110, 15.2)."""


class HalfClosed:
    """Watches such a connection until it is stopped; aborts it after a reset."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        may_probe: Callable[[], bool],
    ) -> None:
        """`may_probe`: whether an interim response may be sent now."""
        self._loop = loop
        self._transport = transport
        self._may_probe = may_probe
        self._pause = EARLY_SECONDS
        self._next_probe = loop.time() + self._pause
        self._timer = loop.call_later(_POLL_SECONDS, self._check)

    def cancel(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        if self._was_reset():
            self._transport.abort()
            return
        if self._loop.time() >= self._next_probe and self._may_probe():
            self._transport.write(_INTERIM)
            self._pause *= 2  # some clients accept few interim responses, Go's five
            self._next_probe += self._pause
        self._timer = self._loop.call_later(_POLL_SECONDS, self._check)

    def _was_reset(self) -> bool:
        connection: socket.socket = self._transport.get_extra_info("socket")
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
