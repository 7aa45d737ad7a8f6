"""Every error as an HTTP response in the shape of its dialect, unknown paths and bugs included."""

import logging
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway.errors import (
    ANTHROPIC_ID_HEADER,
    INTERNAL_ERROR,
    AccessCode,
    AccessError,
    GatewayError,
    anthropic_body,
    anthropic_status,
    http_form,
    is_anthropic_path,
    is_openai_path,
    ollama_body,
    openai_body,
)
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.responses.framing import JsonResponse
from sizeup_telemetry import request_id
from sizeup_wire.errors import ErrorCode

_log = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def respond_with(error: GatewayError, scope: Scope) -> Response:
    """Create the response to a request that failed, in the dialect of its path."""
    metrics_of(scope).outcome = error.code
    form = http_form(error.code)
    headers = dict(error.headers)
    if form.retry_after_seconds is not None:
        headers["Retry-After"] = str(form.retry_after_seconds)
    if form.is_final:
        headers["X-Should-Retry"] = "false"
    if is_anthropic_path(scope["path"]):
        id = headers[ANTHROPIC_ID_HEADER] = request_id.current.get()
        return JsonResponse(anthropic_body(error, id), anthropic_status(error), headers)
    if is_openai_path(scope["path"]):
        status = error.status or form.openai_status or form.status
        return JsonResponse(openai_body(error), status, headers)
    return JsonResponse(ollama_body(error), error.status or form.status, headers)


def exception_handlers() -> dict[int | type[Exception], Handler]:
    """Return handlers of the exceptions that routing and the routes raise.

    Here, inside of the rate limits, their headers are added to errors of the routes as well.
    """

    async def on_gateway_error(request: Request, error: GatewayError) -> Response:
        return respond_with(error, request.scope)

    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return respond_with(_from_routing(request, error), request.scope)

    async def on_bug(request: Request, _error: Exception) -> Response:
        return respond_with(GatewayError(ErrorCode.INTERNAL, INTERNAL_ERROR), request.scope)

    return {
        GatewayError: on_gateway_error,
        HTTPException: on_http_exception,
        Exception: on_bug,  # outside of ErrorResponseMiddleware
    }


def _from_routing(request: Request, error: HTTPException) -> AccessError:
    if error.status_code == 405:
        message = f"method {request.method} is not allowed"
        allow = allowed_methods(request.app.routes, request.scope)
        return AccessError(AccessCode.METHOD_NOT_ALLOWED, message, headers={"Allow": allow})
    return AccessError(AccessCode.ROUTE_NOT_FOUND, "not found")


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Return the methods of every route of the path; the router's error has those of the first.

    A path that a route names literally is not one with parameters. Empty for an unknown path.
    """
    found = [
        route
        for route in routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    ]
    literal = [route for route in found if route.path == scope["path"]]
    methods = {method for route in literal or found for method in route.methods or ()}
    return ", ".join(sorted(methods))


class ErrorResponseMiddleware:
    """Responds to GatewayErrors of the middleware inside, and to bugs with an internal error.

    Replaces the plain text of errors that libraries respond with: Starlette's for CORS preflights
    and for ranges of files.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, plain_status = False, 0

        async def send_and_note(message: Message) -> None:
            nonlocal started, plain_status
            if message["type"] == "http.response.start" and _is_plain_error(message):
                plain_status = message["status"]
                return
            started = True
            if not plain_status:
                await send(message)
            elif not message.get("more_body", False):
                error = _of_plain_text(plain_status, message.get("body", b""))
                await respond_with(error, scope)(scope, receive, send)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            if started:
                raise
            if not isinstance(error, GatewayError):
                _log.exception("request.failed")
                error = GatewayError(ErrorCode.INTERNAL, INTERNAL_ERROR)
            await respond_with(error, scope)(scope, receive, send)


def _is_plain_error(start: Message) -> bool:
    if start["status"] < 400:
        return False
    content_type: bytes = dict(start.get("headers", ())).get(b"content-type", b"")
    return content_type.startswith(b"text/plain")


def _of_plain_text(status: int, text: bytes) -> GatewayError:
    code = ErrorCode.INTERNAL if status >= 500 else ErrorCode.INVALID_REQUEST
    error = GatewayError(code, text.decode() or HTTPStatus(status).phrase)
    error.status = status
    return error
