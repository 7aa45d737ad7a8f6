"""Every error as an HTTP reply in the shape of its dialect, unknown paths and bugs included."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway.api.service import JsonResponse
from sizeup_gateway.errors import AccessCode, AccessError, GatewayError, to_reply
from sizeup_gateway.observability.request_metrics import observation_of
from sizeup_wire.errors import ErrorCode

_log = logging.getLogger(__name__)


def refuse(scope: Scope, error: GatewayError) -> Response:
    """Make the reply to a request that cannot be answered."""
    observation_of(scope).outcome = error.code
    reply = to_reply(error, scope["path"])
    return JsonResponse(reply.body, status_code=reply.status, headers=reply.headers)


def exception_handlers() -> dict[Any, Callable[[Request, Any], Awaitable[Response]]]:
    """Handle what routing and the routes raise."""

    async def on_gateway_error(request: Request, error: GatewayError) -> Response:
        return refuse(request.scope, error)

    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return refuse(request.scope, _from_routing(request, error))

    return {GatewayError: on_gateway_error, HTTPException: on_http_exception}


def _from_routing(request: Request, error: HTTPException) -> AccessError:
    if error.status_code == 405:
        message = f"method {request.method} is not allowed here"
        return AccessError(AccessCode.METHOD_NOT_ALLOWED, message, error.headers)
    return AccessError(AccessCode.ROUTE_NOT_FOUND, "there is nothing at this path")


class RefusalMiddleware:
    """Answer what nothing else caught with an internal error; the log has the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if started:
                raise
            if not isinstance(error, GatewayError):
                _log.exception("request.broken")
                error = _internal()
            await refuse(scope, error)(scope, receive, send)


def _internal() -> GatewayError:
    message = "internal error, see the log for this request id"
    return GatewayError(ErrorCode.INTERNAL, message)
