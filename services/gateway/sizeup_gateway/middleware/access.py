"""Access control by Origin, Host and API key. Pure ASGI: never buffers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup_gateway import client_identity
from sizeup_gateway.errors import AccessCode, AccessError, InvalidRequestError
from sizeup_gateway.middleware.api_keys import ApiKeys
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.rate_limits import RATE_LIMIT_HEADERS
from sizeup_telemetry.hosts import HostFault

_DEFAULT_ORIGINS = (
    r"https?://(([\w-]+\.)*localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?",
    r"(app|file|tauri|vscode-webview|vscode-file)://.*",
    r"(chrome|moz|safari-web)-extension://.*",
)
"""Pages of this machine, desktop applications (both Ollama's defaults) and browser extensions."""


def origin_regex(origins: str) -> str:
    """Return a regular expression of the allowed origins: a comma-separated list and the defaults.

    `*` stands for any characters. Raises ValueError for an entry that no origin can match.
    """
    entries = [entry.strip() for entry in origins.split(",") if entry.strip()]
    for entry in entries:
        if "://" not in entry and "*" not in entry:
            raise ValueError(f"origin {entry!r} must have a scheme, as in https://chat.example")
        if "/" in entry.partition("://")[2]:
            raise ValueError(f"origin {entry!r} must have no path, as in https://chat.example")
    listed = [re.escape(entry).replace(r"\*", ".*") for entry in entries]
    return f"(?i:{'|'.join((*_DEFAULT_ORIGINS, *listed))})"


def origin_middleware(allowed: str) -> list[Middleware]:
    """Send CORS headers to pages of allowed origins, and reject the requests of all others.

    CORS alone hides the response from a page after the request has run. `allowed` is the
    origin_regex.
    """
    return [
        Middleware(ScopeMiddleware, call=partial(_check_origin, re.compile(allowed))),
        Middleware(
            CORSMiddleware,
            allow_origin_regex=allowed,
            allow_methods=["DELETE", "GET", "HEAD", "POST", "OPTIONS"],
            allow_headers=["*"],  # answered with the names that are asked for
            allow_private_network=True,
            expose_headers=[
                "X-Request-Id",
                "X-Sizeup-Model",
                "X-Should-Retry",
                "Retry-After",
                *RATE_LIMIT_HEADERS,
            ],
        ),
    ]


@dataclass(frozen=True, slots=True)
class ScopeMiddleware:
    """Calls a function with the scope of each request, which it may change or reject."""

    app: ASGIApp
    call: Callable[[Scope], None]
    """Raises GatewayError."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.call(scope)
        await self.app(scope, receive, send)


def _check_origin(allowed: re.Pattern[str], scope: Scope) -> None:
    """Reject requests by pages of other origins: text/plain needs no CORS preflight."""
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    for origin in headers.getlist("origin"):
        if not allowed.fullmatch(origin) and not is_same_origin(origin, host):
            raise AccessError(AccessCode.FORBIDDEN_ORIGIN, "origin not allowed")


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the server of the Host header."""
    scheme, separator, address = origin.lower().partition("://")
    return bool(separator and address) and scheme in ("http", "https") and address == host.lower()


def refuse_host(fault: HostFault) -> NoReturn:
    """Raise the error of a Host header: protection against DNS rebinding."""
    if fault is HostFault.FOREIGN:
        raise AccessError(AccessCode.FORBIDDEN_HOST, fault.value)
    raise InvalidRequestError(fault.value)


def check_key(keys: ApiKeys, is_exempt: Callable[[Scope], bool], scope: Scope) -> None:
    """Require an API key: `Authorization: Bearer` or `X-Api-Key`."""
    if is_exempt(scope):
        return
    identity = keys.identify(Headers(scope=scope))
    if identity is None:
        message, challenge = "a valid API key is required", {"WWW-Authenticate": "Bearer"}
        raise AccessError(AccessCode.INVALID_API_KEY, message, headers=challenge)
    client_identity.attach(scope, identity)
    metrics_of(scope).api_key_name = identity.name
