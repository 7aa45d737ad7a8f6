"""Access control by Origin, Host and API key. Pure ASGI: never buffers."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sizeup_gateway import cache_salt
from sizeup_gateway.errors import AccessCode, AccessError, InvalidRequestError

_ORIGINS = (
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?"
    r"|(app|file|tauri|vscode-webview|vscode-file)://.*"
)
"""Ollama's defaults: pages from localhost and desktop applications."""

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


def cors_middleware() -> list[Middleware]:
    """Send CORS headers to pages from allowed origins."""
    return [
        Middleware(
            CORSMiddleware,
            allow_origin_regex=_ORIGINS,
            allow_methods=["DELETE", "GET", "HEAD", "POST", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=["X-Request-Id", "X-Sizeup-Model", "Retry-After"],
        )
    ]


def origin_middleware() -> list[Middleware]:
    """Reject other origins; CORS alone hides the response from a page after the request has run."""
    return [Middleware(OriginMiddleware)]


def host_middleware(bound_to: str) -> list[Middleware]:
    """Check the Host header; its name only if bound to a loopback address."""
    return [Middleware(HostMiddleware, local_only=_is_loopback(bound_to))]


def key_middleware(keys_file: Path | None, is_exempt: Callable[[Scope], bool]) -> list[Middleware]:
    """Require an API key of all but exempt requests; raise OSError or ValueError for the file."""
    if keys_file is None:
        return []
    keys = [line.strip() for line in keys_file.read_text(encoding="utf-8").splitlines()]
    if not any(keys):
        raise ValueError(f"{keys_file} contains no API key")
    return [Middleware(KeyMiddleware, keys=[key for key in keys if key], is_exempt=is_exempt)]


class OriginMiddleware:
    """Rejects requests by pages of other origins: text/plain needs no CORS preflight."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AccessError."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if not all(is_allowed_origin(origin, host) for origin in headers.getlist("origin")):
                message = "origin not allowed"
                raise AccessError(AccessCode.FORBIDDEN_ORIGIN, message)
        await self._app(scope, receive, send)


def is_allowed_origin(origin: str, host: str) -> bool:
    """Whether an Origin header is allowed by default, or the same origin as the Host header."""
    if re.fullmatch(_ORIGINS, origin):
        return True
    scheme, separator, address = origin.lower().partition("://")
    return bool(separator and address) and scheme in ("http", "https") and address == host.lower()


class HostMiddleware:
    """Rejects foreign Host headers: protection against DNS rebinding."""

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        self._app = app
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AccessError or InvalidRequestError."""
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) > 1:
            raise InvalidRequestError("multiple Host headers")
        host = hosts[0] if hosts else None
        if host is None and scope["http_version"] == "1.1":
            raise InvalidRequestError("missing Host header")
        if self._local_only and not is_local_host(host or ""):
            raise AccessError(AccessCode.FORBIDDEN_HOST, "host name not allowed")


def is_local_host(host: str) -> bool:
    """Whether a Host header is an IP address or a local name."""
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
    """Requires an API key: `Authorization: Bearer` or `X-Api-Key`."""

    def __init__(
        self, app: ASGIApp, keys: Sequence[str], is_exempt: Callable[[Scope], bool]
    ) -> None:
        """Keep only hashes of the keys; `is_exempt` selects the requests that need none."""
        self._app = app
        self._is_exempt = is_exempt
        self._salts = {_digest(key): cache_salt.derive(key) for key in keys}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AccessError."""
        if scope["type"] == "http" and not self._is_exempt(scope):
            cache_salt.attach(scope, self._check(Headers(scope=scope)))
        await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> str:
        """Return the cache salt of the request's key."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        digest = _digest(key)
        salts = [salt for one, salt in self._salts.items() if hmac.compare_digest(digest, one)]
        if not salts:
            message = "a valid API key is required"
            challenge = {"WWW-Authenticate": "Bearer"}
            raise AccessError(AccessCode.INVALID_API_KEY, message, challenge)
        return salts[0]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
