"""Responses to requests that do not reach the application."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused."""

    status: int
    message: str


Refuse = Callable[[str, Refusal], Response]
"""The response of a service, by the path of the request; "" where it is unknown."""

INTERNAL_ERROR = Refusal(500, "internal error")


def json_refusal(_path: str, refusal: Refusal) -> Response:
    """Respond with `{"error": message}`."""
    body = json.dumps({"error": refusal.message})
    return Response(body, refusal.status, media_type="application/json")


def encode(response: Response, defaults: Sequence[Header], *, has_body: bool) -> bytes:
    """Return the response as it is sent; that to a HEAD request has no body."""
    lines = (b"%s: %s\r\n" % header for header in (*defaults, *response.raw_headers))
    body = response.body if has_body else b""
    return b"".join((STATUS_LINE[response.status_code], *lines, b"\r\n", body))
