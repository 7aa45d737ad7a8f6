"""Who may ask: origins of browsers, names of hosts, API keys. Pure ASGI, nothing is buffered."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup_gateway.api import health
from sizeup_gateway.errors import AccessCode, AccessError, InvalidRequestError

_ORIGINS = (
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?"
    r"|(app|file|tauri|vscode-webview|vscode-file)://.*"
)
"""Ollama's defaults: pages of this machine and desktop applications."""

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


def cors_middleware() -> list[Middleware]:
    """Let pages of this machine read replies; others get no CORS header."""
    return [
        Middleware(
            CORSMiddleware,
            allow_origin_regex=_ORIGINS,
            allow_methods=["DELETE", "GET", "HEAD", "POST", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    ]


def origin_middleware() -> list[Middleware]:
    """Refuse foreign pages; CORS alone hides the reply from them, after the work is done."""
    return [Middleware(OriginMiddleware)]


def host_middleware(bound_to: str) -> list[Middleware]:
    """Check the Host header, its name only where this machine alone is served."""
    return [Middleware(HostMiddleware, local_only=_is_loopback(bound_to))]


def key_middleware(keys_file: Path | None) -> list[Middleware]:
    """Ask for a key where there are any; raise OSError or ValueError on an unusable file."""
    if keys_file is None:
        return []
    keys = [line.strip() for line in keys_file.read_text(encoding="utf-8").splitlines()]
    if not any(keys):
        raise ValueError(f"{keys_file} holds no API key")
    return [Middleware(KeyMiddleware, keys=[key for key in keys if key])]


class OriginMiddleware:
    """Refuse what pages of other origins send: browsers post text/plain without asking first."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, or raise AccessError."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if not all(is_known_origin(origin, host) for origin in headers.getlist("origin")):
                message = "this origin is not served here"
                raise AccessError(AccessCode.FORBIDDEN_ORIGIN, message)
        await self._app(scope, receive, send)


def is_known_origin(origin: str, host: str) -> bool:
    """Tell whether an Origin header is of this machine, or the one the Host header names."""
    if re.fullmatch(_ORIGINS, origin):
        return True
    scheme, separator, address = origin.lower().partition("://")
    return bool(separator and address) and scheme in ("http", "https") and address == host.lower()


class HostMiddleware:
    """Refuse foreign Host headers: a page whose name was rebound to 127.0.0.1 sends its own."""

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        """Refuse foreign names if `local_only`."""
        self._app = app
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, or raise AccessError or InvalidRequestError."""
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) > 1:
            raise InvalidRequestError("there is more than one Host header")
        host = hosts[0] if hosts else None
        if host is None and scope["http_version"] == "1.1":
            raise InvalidRequestError("the Host header is missing")
        if self._local_only and not is_local_host(host or ""):
            raise AccessError(AccessCode.FORBIDDEN_HOST, "this host name is not served here")


def is_local_host(host: str) -> bool:
    """Tell whether a Host header names this machine or an address rather than a foreign name."""
    bracketed = host.startswith("[")
    name = (host[1:].partition("]")[0] if bracketed else host.partition(":")[0]).lower()
    if name in ("", "localhost") or name.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class KeyMiddleware:
    """Ask for an API key on every path but health: `Authorization: Bearer` or `X-Api-Key`."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        """Keep hashes only."""
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, or raise AccessError."""
        if scope["type"] == "http" and scope["path"] not in health.PATHS:
            self._check(Headers(scope=scope))
        await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        digest = _digest(key)
        known = [hmac.compare_digest(digest, one) for one in self._digests]
        if not any(known):
            message = "a valid API key is required"
            challenge = {"WWW-Authenticate": "Bearer"}
            raise AccessError(AccessCode.INVALID_API_KEY, message, challenge)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
