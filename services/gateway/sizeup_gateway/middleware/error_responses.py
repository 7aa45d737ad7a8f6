"""Every error as an HTTP response in the shape of its dialect, unknown paths and bugs included."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway.errors import AccessCode, AccessError, GatewayError, to_error_response
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.json_response import JsonResponse
from sizeup_wire.errors import ErrorCode

_log = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def respond_with(error: GatewayError, scope: Scope) -> Response:
    """Create the response to a request that failed."""
    metrics_of(scope).outcome = error.code
    response = to_error_response(error, scope["path"])
    return JsonResponse(response.body, status_code=response.status, headers=response.headers)


def exception_handlers() -> dict[
    int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]
]:
    """Return handlers of the exceptions that routing and the routes raise."""

    async def on_gateway_error(request: Request, error: GatewayError) -> Response:
        return respond_with(error, request.scope)

    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return respond_with(_from_routing(request, error), request.scope)

    return {GatewayError: on_gateway_error, HTTPException: on_http_exception}


def _from_routing(request: Request, error: HTTPException) -> AccessError:
    if error.status_code == 405:
        message = f"method {request.method} is not allowed"
        return AccessError(AccessCode.METHOD_NOT_ALLOWED, message, error.headers)
    return AccessError(AccessCode.ROUTE_NOT_FOUND, "not found")


class ErrorResponseMiddleware:
    """Responds to GatewayErrors of the middleware inside, and to bugs with an internal error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            if started:
                raise
            if not isinstance(error, GatewayError):
                _log.exception("request.failed")
                error = _internal_error()
            await respond_with(error, scope)(scope, receive, send)


def _internal_error() -> GatewayError:
    message = "internal error, see the log for this request id"
    return GatewayError(ErrorCode.INTERNAL, message)
