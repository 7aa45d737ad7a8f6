"""Which Host headers a server accepts: protection against DNS rebinding.

A web page whose name resolves to a loopback address has the origin of the server there, so that the
browser lets it read the responses. Its requests carry the page's name. A server that is bound to
another address is reached by names that only its operator knows, of a Service or an Ingress, so it
accepts any.
"""

import ipaddress
import socket
from collections.abc import Callable
from enum import StrEnum

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup_telemetry.background import in_thread

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
"""Names that no public DNS server answers for; Ollama's list."""


class HostFault(StrEnum):
    """Why a request is refused; the value is the message."""

    MULTIPLE = "multiple Host headers"
    MISSING = "missing Host header"
    FOREIGN = "host name not allowed"

    @property
    def status(self) -> int:
        return 403 if self is HostFault.FOREIGN else 400


class HostRule:
    """The Host headers of one server."""

    def __init__(self, bound_to: str) -> None:
        """Names are checked only if the server is bound to a loopback address."""
        self._hostname = socket.gethostname().lower() if _is_loopback(bound_to) else None
        self._fqdn: str | None = None

    async def fault(self, scope: Scope) -> HostFault | None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) > 1:
            return HostFault.MULTIPLE
        if not hosts and scope["http_version"] == "1.1":
            return HostFault.MISSING
        host = hosts[0] if hosts else ""
        if self._hostname is None or is_local_host(host):
            return None
        is_own = await self._is_own_name(_name_of(host), self._hostname)
        return None if is_own else HostFault.FOREIGN

    async def _is_own_name(self, name: str, hostname: str) -> bool:
        """Whether it is the name of this machine, with or without its domain."""
        short = hostname.partition(".")[0]
        if name in (hostname, short):
            return True
        if not name.startswith(f"{short}."):
            return False
        if self._fqdn is None:  # may ask a DNS server, and wait for it
            self._fqdn = (await in_thread(socket.getfqdn, "getfqdn")).lower()
        return name == self._fqdn


def _as_json(fault: HostFault) -> Response:
    return JSONResponse({"error": fault.value}, fault.status)


class HostMiddleware:
    """Refuses requests with foreign Host headers. Pure ASGI: never buffers."""

    def __init__(
        self, app: ASGIApp, bound_to: str, respond: Callable[[HostFault], Response] = _as_json
    ) -> None:
        """`respond` makes the response in the error shape of the application."""
        self._app = app
        self._rule = HostRule(bound_to)
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = await self._rule.fault(scope) if scope["type"] == "http" else None
        app = self._app if fault is None else self._respond(fault)
        await app(scope, receive, send)


def _name_of(host: str) -> str:
    """Return a Host header without its port."""
    bracketed = host.startswith("[")
    return (host[1:].partition("]")[0] if bracketed else host.partition(":")[0]).lower()


def is_local_host(host: str) -> bool:
    """Whether a Host header is an IP address or a local name."""
    name = _name_of(host)
    return name in ("", "localhost") or name.endswith(_LOCAL_SUFFIXES) or _address(name) is not None


def _is_loopback(bound_to: str) -> bool:
    address = _address(bound_to)
    return bound_to == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
