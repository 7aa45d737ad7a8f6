"""The request id: the client's if valid, else generated; always returned in the response."""

import re
import uuid
from collections.abc import Iterable
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
_VALID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""Other ids would let a client inject text into logs."""

current: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the current task's request; empty outside a request."""


def of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id of a request by its headers, as ASGI has them."""
    given = Headers(raw=list(headers)).get(HEADER, "")
    return given if _VALID.fullmatch(given) else uuid.uuid4().hex


class RequestIdMiddleware:
    """Set `current` for the request and put the id on the response. Pure ASGI: never buffers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = of(scope["headers"])

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        token = current.set(request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            current.reset(token)
