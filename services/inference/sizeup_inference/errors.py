"""Every way in which a request is refused or fails, and the HTTP status of each.

InferenceError
    InvalidRequestError       400  invalid_request
        PromptError           400  the chat template refuses the messages
        BodyTooLargeError     413
    ContextLengthError        400  context_length_exceeded
    UnsupportedError          400  unsupported
    BusyError                 503  busy, with Retry-After
    NotReadyError             503  not_ready
    DrainingError             503  draining
    RequestFailedError        500  internal, slow_consumer, ...: whatever ended an accepted request
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_wire.errors import ErrorCode, Failure

_RETRY_AFTER_SECONDS = 1
"""A place becomes free whenever an answer ends, which is seconds away at most loads."""


class InferenceError(Exception):
    """The base of the tree; the message may be shown to people."""

    status: ClassVar[int] = 500
    code: ErrorCode = ErrorCode.INTERNAL
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Say what is wrong, and in which wire field."""
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequestError(InferenceError):
    """The request can never succeed as written."""

    status = 400
    code = ErrorCode.INVALID_REQUEST


class PromptError(InvalidRequestError):
    """The chat template refuses the messages."""


class BodyTooLargeError(InvalidRequestError):
    """The body is larger than any prompt that could be served."""

    status = 413


class ContextLengthError(InferenceError):
    """Prompt and answer do not fit."""

    status = 400
    code = ErrorCode.CONTEXT_LENGTH_EXCEEDED


class UnsupportedError(InferenceError):
    """This model cannot do what is asked."""

    status = 400
    code = ErrorCode.UNSUPPORTED


class BusyError(InferenceError):
    """A queue is full."""

    status = 503
    code = ErrorCode.BUSY
    retry_after_seconds = _RETRY_AFTER_SECONDS


class NotReadyError(InferenceError):
    """The model is loading, or its engine has died."""

    status = 503
    code = ErrorCode.NOT_READY
    retry_after_seconds = _RETRY_AFTER_SECONDS


class DrainingError(InferenceError):
    """The process is shutting down."""

    status = 503
    code = ErrorCode.DRAINING
    retry_after_seconds = _RETRY_AFTER_SECONDS


class RequestFailedError(InferenceError):
    """An accepted request ended without an answer."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.code = code


def to_response(error: InferenceError) -> Response:
    """Put a refusal into HTTP."""
    body = Failure(code=error.code, message=error.message, param=error.param)
    wait = error.retry_after_seconds
    return JSONResponse(
        body.model_dump(mode="json"),
        error.status,
        headers={} if wait is None else {"Retry-After": str(wait)},
    )


async def _on_inference_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, InferenceError):
        raise error
    return to_response(error)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    """Answer for a path nobody serves, or one that takes another method."""
    if not isinstance(error, HTTPException):
        raise error
    body = Failure(code=ErrorCode.INVALID_REQUEST, message=error.detail)
    return JSONResponse(body.model_dump(mode="json"), error.status_code, headers=error.headers)


async def _on_unexpected_error(_request: Request, _error: Exception) -> Response:
    """Answer for a bug; the log has the traceback under the request id."""
    body = Failure(code=ErrorCode.INTERNAL, message="internal error")
    return JSONResponse(body.model_dump(mode="json"), 500)


EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    InferenceError: _on_inference_error,
    HTTPException: _on_http_error,
    Exception: _on_unexpected_error,
}
"""For Starlette, so that every refusal has the same body."""
