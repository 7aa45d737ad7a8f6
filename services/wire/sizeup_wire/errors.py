"""Error codes that cross from inference to the gateway; each side maps them to its own shapes."""

from enum import StrEnum

from sizeup_wire.message import ResponseModel


class ErrorCode(StrEnum):
    """Name every way in which a request can end without an answer."""

    INVALID_REQUEST = "invalid_request"
    """The request can never succeed as written."""
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    """The prompt does not fit, and the request forbids truncation."""
    UNSUPPORTED = "unsupported"
    """This model or engine cannot do what is asked (thinking, tools, embeddings)."""
    MODEL_NOT_FOUND = "model_not_found"
    """No model answers to the name."""
    BUSY = "busy"
    """The waiting queue is full; the same request may succeed later."""
    NOT_READY = "not_ready"
    """The model is loading, or every replica is down; the same request may succeed later."""
    DRAINING = "draining"
    """The process is shutting down; another replica may answer."""
    TIMEOUT = "timeout"
    """A deadline passed."""
    SLOW_CONSUMER = "slow_consumer"
    """The reader fell so far behind that its events were dropped."""
    UPSTREAM_LOST = "upstream_lost"
    """The inference process went away in the middle of an answer."""
    INTERNAL = "internal"
    """Everything else; the request id leads to the log."""


class Failure(ResponseModel):
    """Say why a request failed: the JSON body of a refusal, before any event was sent."""

    code: ErrorCode
    message: str
    """Text that may be shown to the person; never a traceback or a path."""
    param: str | None = None
    """The wire field at fault, dotted, when one is."""
