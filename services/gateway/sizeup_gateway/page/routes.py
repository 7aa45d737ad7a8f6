"""Routes of the page and its assets, which are package data built by `make page`.

`/` is also the heartbeat of Ollama's API: the page's route matches only requests of browsers.
"""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from sizeup_telemetry.api_docs import DirectRoute

PAGE_PATH = "/"
ASSETS_PATH = "/page"

_INDEX = "index.html"
_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""By suffix; other files of the folder are not served."""

_CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",  # the page builds elements, never from a string of HTML
    )
)
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",  # asks every time, and the ETag spares the transfer
    "Content-Security-Policy": _CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()",
    "Referrer-Policy": "no-referrer",  # the address may contain a prompt
    "X-Content-Type-Options": "nosniff",
}


Endpoint = Callable[[Request], Awaitable[Response]]


def page_router() -> APIRouter:
    """Create the routes of the page, which must be matched before the heartbeat at the same path.

    Raises RuntimeError when the package lacks the page.
    """
    endpoints = _endpoints()
    if _INDEX not in endpoints:
        raise RuntimeError("the package has no compare page: run `make page`")
    router = APIRouter(include_in_schema=False)
    index = endpoints.pop(_INDEX)
    router.routes.append(_PageRoute(PAGE_PATH, index, methods=["GET"], include_in_schema=False))
    for name, endpoint in endpoints.items():
        path = f"{ASSETS_PATH}/{name}"
        route = DirectRoute(path, endpoint, methods=["GET"], include_in_schema=False)
        router.routes.append(route)
    return router


def is_public(scope: Scope) -> bool:
    """Whether the page, one of its assets or the heartbeat is requested: they contain no secret.

    Load balancers check the health at `/` unless they are configured, without a key.
    """
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path = str(scope["path"])
    return path == PAGE_PATH or path.startswith(f"{ASSETS_PATH}/")


def accepts_html(headers: Mapping[str, str]) -> bool:
    """Whether Accept names text/html, as browsers do: clients of an API accept anything."""
    for media_range in headers.get("accept", "").lower().split(","):
        media_type, *parameters = [part.strip() for part in media_range.split(";")]
        if media_type == "text/html":
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip() in ("0", "0.0", "0.00", "0.000")


class _PageRoute(DirectRoute):
    """Matches browsers only; all other requests, and other methods, find the heartbeat."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        wanted = is_public(scope) and accepts_html(Headers(scope=scope))
        return super().matches(scope) if wanted else (Match.NONE, {})


def _endpoints() -> dict[str, Endpoint]:
    """Return what serves the built files, the index included, by their names."""
    folder = resources.files(__package__) / "static"
    files = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    kinds = {file.name: file.name.rpartition(".")[2] for file in files}
    return {
        file.name: _endpoint(file.read_bytes(), _MEDIA_TYPES[kinds[file.name]])
        for file in files
        if kinds[file.name] in _MEDIA_TYPES
    }


def _endpoint(content: bytes, media_type: str) -> Endpoint:
    # Weak: the compressed form has the same tag.
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    compressed = gzip.compress(content, mtime=0)
    headers = {**_HEADERS, "ETag": etag, "Vary": "Accept, Accept-Encoding"}

    async def endpoint(request: Request) -> Response:
        if _is_known(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", "").lower():
            encoded = {**headers, "Content-Encoding": "gzip"}
            return Response(compressed, headers=encoded, media_type=media_type)
        return Response(content, headers=headers, media_type=media_type)

    return endpoint


def _is_known(if_none_match: str, etag: str) -> bool:
    opaque = etag.removeprefix("W/")
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return opaque in tags or tags == ["*"]
