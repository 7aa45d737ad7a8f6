"""Paths with more slashes than their route has: `/api/tags/`, `//api/chat`."""

import re

from starlette.types import Scope

_SLASHES = re.compile("//+")


def remove_extra_slashes(scope: Scope) -> None:
    """Serve such a request at its route: many clients do not send a body again after a redirect.

    Outside of all that decides by path: metrics, the dialect of errors, exemptions from API keys.
    """
    scope["path"] = without_extra_slashes(scope["path"])


def without_extra_slashes(path: str) -> str:
    """Return a path with single slashes, and none at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
