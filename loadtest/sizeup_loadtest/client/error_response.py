"""Responses with an error status: the status decides the outcome, the body has the message."""

import aiohttp

from sizeup_loadtest.client.response import MalformedResponseError, error_message, parse, shorten
from sizeup_loadtest.data.record import Outcome

MAX_ERROR_BYTES = 64 << 10


async def error_response(response: aiohttp.ClientResponse) -> tuple[Outcome, str]:
    """Read the body of a response whose status is not 200."""
    data = await response.content.read(MAX_ERROR_BYTES)
    return outcome_of(response.status), shorten(f"HTTP {response.status}: {_message(data)}")


def outcome_of(status: int) -> Outcome:
    """Classify a status other than 200."""
    if status == 429:
        return Outcome.BUSY
    return Outcome.UNAVAILABLE if status >= 500 else Outcome.REFUSED


def _message(data: bytes) -> str:
    try:
        return error_message(parse(data)) or data.decode(errors="replace")
    except MalformedResponseError:
        return data.decode(errors="replace")
