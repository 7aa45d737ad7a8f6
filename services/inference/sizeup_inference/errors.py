"""The error tree: every way in which a request is rejected or fails, and its HTTP status."""

from typing import ClassVar

from sizeup_wire.errors import ErrorCode

_RETRY_AFTER_SECONDS = 1
"""A queue slot frees whenever a request finishes, which is seconds away at most loads."""


class InferenceError(Exception):
    """The root of the tree; messages are safe to show to a user."""

    status: ClassVar[int] = 500
    code: ErrorCode = ErrorCode.INTERNAL
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """`param` is the wire field at fault, dotted."""
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequestError(InferenceError):
    """The request can never succeed as written."""

    status = 400
    code = ErrorCode.INVALID_REQUEST


class PromptError(InvalidRequestError):
    """The chat template rejects the messages."""


class BodyTooLargeError(InvalidRequestError):
    """The body is larger than any prompt within the context."""

    status = 413


class ContextLengthError(InferenceError):
    """Prompt and output exceed the context length."""

    status = 400
    code = ErrorCode.CONTEXT_LENGTH_EXCEEDED


class UnsupportedError(InferenceError):
    """This model lacks the requested capability."""

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
    """An accepted request ended in an error: internal, slow_consumer, ..."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
