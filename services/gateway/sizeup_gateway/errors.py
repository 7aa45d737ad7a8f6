"""Every way a request can end without an answer, and how each public API says it.

GatewayError                  carries a code, a message, perhaps the field at fault
├── InvalidRequestError       the request can never succeed as written
├── UnsupportedError          the model, or this release, cannot do what is asked
├── ModelNotFoundError        no model answers to the name
├── BusyError                 too many requests at one time
│   └── HoldFullError         too many requests wait for a model to start
├── NotReadyError             no replica of the model is ready
├── UpstreamError             inference refused or failed; the code is inference's
├── ReplicaUnavailableError   a replica cannot be reached, and has not begun to answer
└── AccessError               the request never reaches a route: wrong path, method, key, body size
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sizeup_gateway.model_state import ModelState, in_words
from sizeup_wire.errors import ErrorCode, Failure


class AccessCode(StrEnum):
    """Name the refusals that happen before a request has a meaning."""

    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INVALID_API_KEY = "invalid_api_key"
    FORBIDDEN_HOST = "forbidden_host"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    NOT_IMPLEMENTED = "not_implemented"


class GatewayError(Exception):
    """Refuse a request; the message may be shown to the person."""

    status: int | None = None
    """HTTP status in both dialects, where it is not the code's own."""

    def __init__(
        self, code: ErrorCode | AccessCode, message: str, param: str | None = None
    ) -> None:
        """Keep what both dialects need."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.headers: Mapping[str, str] = {}
        """Headers of the refusal beside those its code brings, such as Allow."""


class InvalidRequestError(GatewayError):
    """Say what is wrong with a request."""

    def __init__(self, message: str, param: str | None = None) -> None:
        """Name the field at fault, dotted, in the words of the dialect it came in."""
        super().__init__(ErrorCode.INVALID_REQUEST, message, param)


class UnsupportedError(GatewayError):
    """Say what cannot be done."""

    def __init__(self, message: str, param: str | None = None) -> None:
        """Name the field that asks for it."""
        super().__init__(ErrorCode.UNSUPPORTED, message, param)


class ModelNotFoundError(GatewayError):
    """Say that nothing answers to a name."""

    def __init__(self, name: str) -> None:
        """Quote at most 128 characters of the name: it is whatever a stranger sent."""
        super().__init__(ErrorCode.MODEL_NOT_FOUND, f"model '{name[:128]}' not found", "model")


class BusyError(GatewayError):
    """Say that the gateway has all the requests it can hold."""

    def __init__(self) -> None:
        """Ask to come again."""
        super().__init__(ErrorCode.BUSY, "too many requests at one time, please try again")


class HoldFullError(BusyError):
    """Say that as many requests wait for a model to start as may."""

    status = 429


class NotReadyError(GatewayError):
    """Say that a model does not answer now, and why."""

    def __init__(self, name: str, state: ModelState) -> None:
        """Name the model as the request does."""
        message = f"model '{name}' {in_words(state)}, please try again"
        super().__init__(ErrorCode.NOT_READY, message)


class UpstreamError(GatewayError):
    """Pass on what inference says."""

    def __init__(self, failure: Failure) -> None:
        """Keep code, text and field."""
        super().__init__(failure.code, failure.message, failure.param)


class ReplicaUnavailableError(GatewayError):
    """Say that a replica cannot begin an answer; another one may."""

    def __init__(
        self, message: str, code: ErrorCode = ErrorCode.NOT_READY, *, is_down: bool = False
    ) -> None:
        """Describe the replica's state without its address.

        `is_down` says that it takes no requests at all, rather than that one connection broke.
        """
        super().__init__(code, message)
        self.is_down = is_down


class AccessError(GatewayError):
    """Turn a request away at the door."""

    def __init__(
        self, code: AccessCode, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send extra headers with the refusal."""
        super().__init__(code, message)
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a code looks over HTTP."""

    status: int
    openai_type: str = "invalid_request_error"
    openai_code: str | None = None
    openai_status: int | None = None
    """Where OpenAI's status differs from Ollama's."""
    ollama_text: str | None = None
    """Where Ollama's text is fixed: clients compare it."""
    retry_after_seconds: int | None = None


_SHAPES: Mapping[str, Shape] = {
    ErrorCode.INVALID_REQUEST: Shape(400),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: Shape(400, openai_code="context_length_exceeded"),
    ErrorCode.UNSUPPORTED: Shape(400, openai_code="unsupported"),
    ErrorCode.MODEL_NOT_FOUND: Shape(404, openai_code="model_not_found"),
    ErrorCode.BUSY: Shape(
        503,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        openai_status=429,
        ollama_text="server busy, please try again.  maximum pending requests exceeded",
        retry_after_seconds=1,
    ),
    ErrorCode.NOT_READY: Shape(503, "unavailable_error", "model_not_ready", retry_after_seconds=2),
    ErrorCode.DRAINING: Shape(503, "unavailable_error", "draining", retry_after_seconds=1),
    ErrorCode.TIMEOUT: Shape(504, "server_error", "timeout"),
    ErrorCode.SLOW_CONSUMER: Shape(500, "server_error", "slow_consumer"),
    ErrorCode.UPSTREAM_LOST: Shape(502, "server_error", "upstream_lost"),
    ErrorCode.INTERNAL: Shape(500, "server_error", "internal"),
    AccessCode.ROUTE_NOT_FOUND: Shape(404, openai_code="unknown_url"),
    AccessCode.METHOD_NOT_ALLOWED: Shape(405, openai_code="method_not_allowed"),
    AccessCode.BODY_TOO_LARGE: Shape(413, openai_code="request_too_large"),
    AccessCode.BODY_TIMEOUT: Shape(408, openai_code="request_timeout"),
    AccessCode.UNSUPPORTED_ENCODING: Shape(415, openai_code="unsupported_encoding"),
    AccessCode.INVALID_API_KEY: Shape(401, openai_code="invalid_api_key"),
    AccessCode.FORBIDDEN_HOST: Shape(403, openai_code="forbidden_host"),
    AccessCode.NOT_IMPLEMENTED: Shape(501, openai_code="not_implemented"),
    AccessCode.FORBIDDEN_ORIGIN: Shape(403, openai_code="forbidden_origin"),
}

_UNKNOWN = Shape(500, "server_error")


def shape(code: str) -> Shape:
    """Look up how a code looks; never fails."""
    return _SHAPES.get(code, _UNKNOWN)


def ollama_body(error: GatewayError) -> dict[str, str]:
    """Say an error as Ollama does, as a reply or as the last line of a stream."""
    return {"error": shape(error.code).ollama_text or error.message}


def openai_body(error: GatewayError) -> dict[str, dict[str, str | None]]:
    """Say an error as OpenAI does, as a reply or as an event of a stream."""
    looks = shape(error.code)
    return {
        "error": {
            "message": error.message,
            "type": looks.openai_type,
            "param": error.param,
            "code": looks.openai_code,
        }
    }


def is_openai_path(path: str) -> bool:
    """Tell which dialect a path belongs to; everything outside /v1 is Ollama's."""
    return path == "/v1" or path.startswith("/v1/")


@dataclass(frozen=True, slots=True)
class Reply:
    """An error as an HTTP reply."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str]


def to_reply(error: GatewayError, path: str) -> Reply:
    """Say an error in the dialect of the path it happened on."""
    looks = shape(error.code)
    headers = dict(error.headers)
    if looks.retry_after_seconds is not None:
        headers["Retry-After"] = str(looks.retry_after_seconds)
    if is_openai_path(path):
        status = error.status or looks.openai_status or looks.status
        return Reply(status, openai_body(error), headers)
    return Reply(error.status or looks.status, ollama_body(error), headers)
