"""Responses that are no stream: the status decides the outcome, the body has the message."""

import errno
import os
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp

from sizeup_loadtest.client.response import (
    MalformedResponseError,
    as_mapping,
    error_message,
    parse,
    shorten,
)
from sizeup_loadtest.data.record import Outcome

MAX_ERROR_BYTES = 64 << 10

_QUOTED_CHARACTERS = 120
"""Of a body that is not what it should be."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    outcome: Outcome
    message: str
    parameter: str | None = None
    """OpenAI's `param`: the parameter of the request that is refused."""
    status: int = 400
    retry_after: str | None = None
    """The header of this name."""


async def error_response(response: aiohttp.ClientResponse) -> ErrorResponse:
    """Read the body of a response whose status is not 200."""
    data = await response.content.read(MAX_ERROR_BYTES)
    try:
        body: Any = parse(data)
    except MalformedResponseError:
        body = {}
    message = error_message(body) or data.decode(errors="replace")
    if location := response.headers.get("Location"):
        message = f"redirect to {location}"
    parameter = as_mapping(body.get("error")).get("param")
    return ErrorResponse(
        outcome_of(response.status),
        shorten(f"HTTP {response.status}: {message}"),
        parameter if isinstance(parameter, str) else None,
        response.status,
        response.headers.get("Retry-After"),
    )


def outcome_of(status: int) -> Outcome:
    if status == 429:
        return Outcome.BUSY
    return Outcome.UNAVAILABLE if status >= 500 else Outcome.REFUSED


def connection_error(error: aiohttp.ClientError | OSError) -> str:
    """Return why a connection was not made or lost, without aiohttp's own words where possible."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        invalid = error.certificate_error
        reason = getattr(invalid, "verify_message", "") or str(invalid)
        return shorten(f"invalid certificate: {reason} (see `verify`)")
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):  # has numbers of its own
        failed = getattr(error, "os_error", error)
        reason = getattr(failed, "reason", None) or failed
        return shorten(f"TLS: {reason}".replace("_", " "))
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)
    return shorten(str(error) or type(error).__name__)


def not_a_stream(wanted: str, content_type: str, head: bytes) -> str:
    """Return what a 200 without a single event is, from the beginning of its body."""
    if not head.strip():
        return f"an empty response ({content_type or 'no content type'})"
    quoted = head.decode(errors="replace")
    if head.startswith(b"\x1f\x8b"):
        quoted = "gzip that no Content-Encoding declares"
    text = " ".join(quoted.split())
    shown = text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
    return f"not {wanted}: {content_type or 'no content type'}: {shown}"
