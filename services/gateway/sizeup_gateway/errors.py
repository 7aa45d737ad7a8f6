"""The gateway's errors, and their HTTP form in each dialect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sizeup_gateway.model_state import DESCRIPTIONS, ModelState
from sizeup_wire.errors import ErrorCode

INTERNAL_ERROR = "internal error, see the log for this request id"
"""Message of an error whose cause is in the log only."""


class AccessCode(StrEnum):
    """Codes of requests that are rejected before they reach a handler."""

    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    URL_TOO_LONG = "url_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INVALID_API_KEY = "invalid_api_key"
    REQUEST_LIMIT = "request_limit"
    TOKEN_LIMIT = "token_limit"
    FORBIDDEN_HOST = "forbidden_host"
    FORBIDDEN_ORIGIN = "forbidden_origin"
    NOT_IMPLEMENTED = "not_implemented"
    COMPARISON_NOT_FOUND = "comparison_not_found"
    OPERATOR_MODEL = "operator_model"
    RESPONSE_NOT_FOUND = "response_not_found"


class GatewayError(Exception):
    """An error with an HTTP form; the message is sent to the client."""

    status: int | None = None
    """Overrides the HTTP status of the code, in all dialects."""

    def __init__(
        self,
        code: ErrorCode | AccessCode,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        """The field at fault, dotted, as the dialect names it."""
        self.headers = headers or {}
        """Response headers beside those of the code, such as Allow."""


class InvalidRequestError(GatewayError):
    """The request can never succeed as written."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message, param)


class UnsupportedError(GatewayError):
    """The model or this release lacks a feature."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(ErrorCode.UNSUPPORTED, message, param)


class ModelNotFoundError(GatewayError):
    """No model has this name."""

    def __init__(self, name: str, reason: str | None = None) -> None:
        """Quote at most 128 characters: the name is untrusted input."""
        message = f"model '{name[:128]}' not found" + (f": {reason}" if reason else "")
        super().__init__(ErrorCode.MODEL_NOT_FOUND, message, "model")


class NotServedError(GatewayError):
    """No model has this name, and none can be pulled."""

    def __init__(self, name: str, close: Sequence[str], remedy: str) -> None:
        """`close` are served names like it. The text begins with that of Ollama's registry."""
        served = f" (served: {', '.join(close)})" if close else ""
        message = f"pull model manifest: file does not exist: '{name[:128]}' is not served here"
        super().__init__(ErrorCode.MODEL_NOT_FOUND, f"{message}{served}; {remedy}", "model")


class OperatorModelError(GatewayError):
    """Users can neither delete nor replace a model of the catalog."""

    def __init__(self, name: str) -> None:
        message = f"model '{name}' is the operator's: users cannot replace or delete it"
        super().__init__(AccessCode.OPERATOR_MODEL, message, "model")


class ComparisonNotFoundError(GatewayError):
    """No comparison with this id runs in this process."""

    def __init__(self, id: str) -> None:
        """Quote at most 128 characters: the id is untrusted input."""
        message = f"comparison '{id[:128]}' not found"
        super().__init__(AccessCode.COMPARISON_NOT_FOUND, message, "id")


class ResponseNotFoundError(GatewayError):
    """OpenAI's Responses API keeps responses; this server keeps none."""

    def __init__(self, id: str) -> None:
        """Quote at most 128 characters: the id is untrusted input."""
        message = f"response '{id[:128]}' not found: this server does not store responses"
        super().__init__(AccessCode.RESPONSE_NOT_FOUND, message, "response_id")


class BusyError(GatewayError):
    """The concurrency limit is reached."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.BUSY, "too many concurrent requests, please try again")


class ActivationQueueFullError(BusyError):
    """Too many requests are queued for a model that is starting."""

    status = 429


class NotReadyError(GatewayError):
    """No replica of the model is ready."""

    def __init__(self, name: str, state: ModelState) -> None:
        """`name` is the model's name as the client wrote it."""
        message = f"model '{name}' {DESCRIPTIONS[state]}, please try again"
        super().__init__(ErrorCode.NOT_READY, message)


class UpstreamError(GatewayError):
    """Inference rejected the request, or failed; the code is inference's."""


class ReplicaUnavailableError(GatewayError):
    """A replica failed before the client received anything; another one may get the request."""

    def __init__(
        self,
        message: str,
        code: ErrorCode = ErrorCode.NOT_READY,
        *,
        is_down: bool = False,
        is_hung: bool = False,
    ) -> None:
        """`is_down`: the replica accepts no requests at all, rather than one connection broke.

        `is_hung`: it does not respond, so that only another one may serve the request.
        """
        super().__init__(code, message)
        self.is_down = is_down
        self.is_hung = is_hung


class AccessError(GatewayError):
    """The request is rejected before it reaches a handler."""


@dataclass(frozen=True, slots=True)
class HttpForm:
    status: int
    openai_type: str = "invalid_request_error"
    openai_code: str | None = None
    openai_status: int | None = None
    """If OpenAI's status differs from Ollama's."""
    anthropic_status: int | None = None
    """If Anthropic's does; its error types follow from it."""
    ollama_text: str | None = None
    """If Ollama's text is fixed: clients compare it."""
    retry_after_seconds: int | None = None
    is_final: bool = False
    """A retry fails as well: OpenAI's clients retry a status of 500 or more unless forbidden."""


_HTTP_FORMS: Mapping[str, HttpForm] = {
    ErrorCode.INVALID_REQUEST: HttpForm(400),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: HttpForm(
        400,
        openai_code="context_length_exceeded",
        ollama_text="the input length exceeds the context length",
    ),
    ErrorCode.UNSUPPORTED: HttpForm(400, openai_code="unsupported"),
    ErrorCode.MODEL_NOT_FOUND: HttpForm(404, openai_code="model_not_found"),
    ErrorCode.BUSY: HttpForm(
        503,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        openai_status=429,
        anthropic_status=529,
        ollama_text="server busy, please try again.  maximum pending requests exceeded",
        retry_after_seconds=1,
    ),
    ErrorCode.NOT_READY: HttpForm(
        503, "unavailable_error", "model_not_ready", retry_after_seconds=2
    ),
    ErrorCode.DRAINING: HttpForm(503, "unavailable_error", "draining", retry_after_seconds=1),
    ErrorCode.TIMEOUT: HttpForm(504, "server_error", "timeout"),
    ErrorCode.SLOW_CONSUMER: HttpForm(500, "server_error", "slow_consumer"),
    ErrorCode.UPSTREAM_LOST: HttpForm(502, "server_error", "upstream_lost"),
    ErrorCode.INTERNAL: HttpForm(500, "server_error", "internal"),
    AccessCode.ROUTE_NOT_FOUND: HttpForm(404, openai_code="unknown_url"),
    AccessCode.METHOD_NOT_ALLOWED: HttpForm(405, openai_code="method_not_allowed"),
    AccessCode.BODY_TOO_LARGE: HttpForm(413, openai_code="request_too_large"),
    AccessCode.BODY_TIMEOUT: HttpForm(408, openai_code="request_timeout"),
    AccessCode.URL_TOO_LONG: HttpForm(414, openai_code="url_too_long"),
    AccessCode.HEADERS_TOO_LARGE: HttpForm(431, openai_code="headers_too_large"),
    AccessCode.UNSUPPORTED_ENCODING: HttpForm(415, openai_code="unsupported_encoding"),
    AccessCode.REQUEST_LIMIT: HttpForm(429, "requests", "rate_limit_exceeded"),
    AccessCode.TOKEN_LIMIT: HttpForm(429, "tokens", "rate_limit_exceeded"),
    AccessCode.INVALID_API_KEY: HttpForm(401, openai_code="invalid_api_key"),
    AccessCode.FORBIDDEN_HOST: HttpForm(403, openai_code="forbidden_host"),
    AccessCode.NOT_IMPLEMENTED: HttpForm(501, openai_code="not_implemented", is_final=True),
    AccessCode.COMPARISON_NOT_FOUND: HttpForm(404, openai_code="comparison_not_found"),
    AccessCode.OPERATOR_MODEL: HttpForm(403, openai_code="operator_model"),
    AccessCode.RESPONSE_NOT_FOUND: HttpForm(404, openai_code="response_not_found"),
    AccessCode.FORBIDDEN_ORIGIN: HttpForm(403, openai_code="forbidden_origin"),
}

_UNKNOWN = HttpForm(500, "server_error")


def http_form(code: str) -> HttpForm:
    """Return the HTTP form of a code; an unknown code is an internal error."""
    return _HTTP_FORMS.get(code, _UNKNOWN)


def ollama_body(error: GatewayError) -> dict[str, str]:
    """Return Ollama's error object: a response body, or the last line of a stream."""
    return {"error": http_form(error.code).ollama_text or error.message}


def openai_body(error: GatewayError) -> dict[str, dict[str, str | None]]:
    """Return OpenAI's error object: a response body, or an event of a stream."""
    form = http_form(error.code)
    return {
        "error": {
            "message": error.message,
            "type": form.openai_type,
            "param": error.param,
            "code": form.openai_code,
        }
    }


ANTHROPIC_ID_HEADER = "Request-Id"
"""Of Anthropic's responses: the request id, where its clients look for it."""

_ANTHROPIC_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; other types are `invalid_request_error` below 500 and `api_error` from there on."""


def anthropic_status(error: GatewayError) -> int:
    form = http_form(error.code)
    return error.status or form.anthropic_status or form.status


def anthropic_body(error: GatewayError, request_id: str) -> dict[str, object]:
    """Return Anthropic's error object: a response body, or the last event of a stream."""
    status = anthropic_status(error)
    other = "invalid_request_error" if status < 500 else "api_error"
    return {
        "type": "error",
        "error": {"type": _ANTHROPIC_TYPES.get(status, other), "message": error.message},
        "request_id": request_id,
    }


def is_openai_path(path: str) -> bool:
    """Whether a path is in OpenAI's dialect; everything outside /v1 is in Ollama's."""
    return path == "/v1" or path.startswith("/v1/")


def is_anthropic_path(path: str) -> bool:
    """Whether a path is in Anthropic's dialect, although it is below /v1."""
    return path == "/v1/messages" or path.startswith("/v1/messages/")
