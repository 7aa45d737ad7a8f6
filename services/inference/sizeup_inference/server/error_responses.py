"""Errors as HTTP responses: a `Failure` body whatever went wrong."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_inference.errors import InferenceError
from sizeup_telemetry.api_docs import json_response
from sizeup_telemetry.hosts import HostFault
from sizeup_telemetry.http.refusal import Refusal
from sizeup_wire.errors import ErrorCode, Failure

REQUEST_FAILURES: dict[int | str, dict[str, Any]] = {
    400: json_response(Failure, "Invalid request, context length exceeded, or unsupported"),
    413: json_response(Failure, "The body is too large"),
    500: json_response(Failure, "The request failed"),
    503: json_response(Failure, "Queue full, model loading, or shutting down; see Retry-After"),
}
"""The error responses of routes with a body, for the OpenAPI document."""

NOT_READY: dict[int | str, dict[str, Any]] = {
    503: json_response(Failure, "The model is loading; see Retry-After")
}
"""The error responses of routes that describe the model."""

_REFUSAL_CODES = {500: ErrorCode.INTERNAL, 503: ErrorCode.BUSY}
"""By status; all others are invalid requests."""


def to_response(error: InferenceError) -> Response:
    """Convert an error that ended a request before its response began."""
    seconds = error.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return _failure(error.status, error.code, error.message, error.param, headers)


async def _respond(_request: Request, error: Exception) -> Response:
    match error:
        case InferenceError():
            return to_response(error)
        case HTTPException():  # an unknown path, or a method that a path does not support
            code = ErrorCode.INVALID_REQUEST
            return _failure(error.status_code, code, error.detail, headers=error.headers)
        case _:  # a bug; the traceback is logged under the request id
            return _failure(500, ErrorCode.INTERNAL, "internal error")


EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Coroutine[Any, Any, Response]]] = (
    dict.fromkeys((InferenceError, HTTPException, Exception), _respond)
)


def refuse(_path: str, refusal: Refusal) -> Response:
    """Respond to a request that the server refuses before it reaches the application."""
    code = _REFUSAL_CODES.get(refusal.status, ErrorCode.INVALID_REQUEST)
    return _failure(refusal.status, code, refusal.message)


def host_refused(fault: HostFault) -> Response:
    """Convert a Host header that is not accepted."""
    return _failure(fault.status, ErrorCode.INVALID_REQUEST, fault.value)


def _failure(
    status: int, code: ErrorCode, message: str, param: str | None = None, headers: Any = None
) -> Response:
    body = Failure(code=code, message=message, param=param)
    return JSONResponse(body.model_dump(mode="json"), status, headers)
