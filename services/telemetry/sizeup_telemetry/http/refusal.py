"""Responses to requests that do not reach the application."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class RefusalResponse:
    status: int
    headers: Mapping[str, str]
    """Beside those of the connection: Content-Length, Connection, Date, X-Request-Id."""
    body: bytes


Refuse = Callable[[str, Refusal], RefusalResponse]
"""The response of a service, by the path of the request; "" where it is unknown."""

INTERNAL_ERROR = Refusal(500, "internal error")


def json_refusal(_path: str, refusal: Refusal) -> RefusalResponse:
    """Respond with `{"error": message}`."""
    body = json.dumps({"error": refusal.message}).encode()
    return RefusalResponse(refusal.status, {"Content-Type": "application/json"}, body)


def as_asgi(response: RefusalResponse, request_id: str, *, closes: bool = True) -> Response:
    """Return a response with all of its headers; `closes`: the connection ends with it."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers |= {"x-request-id": request_id, "content-length": str(len(response.body))}
    if closes:
        headers["connection"] = "close"
    return Response(response.body, response.status, headers)


def encode(
    response: RefusalResponse, request_id: str, defaults: Sequence[Header], *, has_body: bool
) -> bytes:
    """Return the response as it is sent; that to a HEAD request has no body."""
    headers = (*defaults, *as_asgi(response, request_id).raw_headers)
    lines = (b"%s: %s\r\n" % header for header in headers)
    body = response.body if has_body else b""
    return b"".join((STATUS_LINE[response.status], *lines, b"\r\n", body))
