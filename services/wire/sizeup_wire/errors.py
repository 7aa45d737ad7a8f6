"""Error codes of the internal API; each side maps them to its own error shapes."""

from enum import StrEnum

from sizeup_wire.message import ResponseModel


class ErrorCode(StrEnum):
    """Every way a request can fail."""

    INVALID_REQUEST = "invalid_request"
    """The request can never succeed as written."""
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    """The prompt does not fit, and the request forbids truncation."""
    UNSUPPORTED = "unsupported"
    """The model or engine lacks the capability (thinking, tools, embeddings)."""
    MODEL_NOT_FOUND = "model_not_found"
    """No model has this name."""
    BUSY = "busy"
    """The waiting queue is full; the same request may succeed later."""
    NOT_READY = "not_ready"
    """The model is loading, or every replica is down; the same request may succeed later."""
    DRAINING = "draining"
    """The process is shutting down; another replica may accept the request."""
    TIMEOUT = "timeout"
    """A deadline passed."""
    SLOW_CONSUMER = "slow_consumer"
    """The client read too slowly: its output buffer is full."""
    UPSTREAM_LOST = "upstream_lost"
    """The connection to the inference process was lost during a response."""
    INTERNAL = "internal"
    """Everything else; the request id leads to the log."""


class Failure(ResponseModel):
    """The JSON body of an error response, sent before any event."""

    code: ErrorCode
    message: str
    """Safe to show to users: never a traceback or a path."""
    param: str | None = None
    """Dotted name of the invalid wire field, if a single one is at fault."""
