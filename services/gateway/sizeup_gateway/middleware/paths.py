"""Paths with more slashes than their route has: `/api/tags/`, `//api/chat`."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("//+")


class PathMiddleware:
    """Serves such a request at its route: many clients do not send a body again after a redirect.

    Outside of all that decides by path: metrics, the dialect of errors, exemptions from API keys.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = without_extra_slashes(scope["path"])
        await self._app(scope, receive, send)


def without_extra_slashes(path: str) -> str:
    """Return a path with single slashes, and none at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
