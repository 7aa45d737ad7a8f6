"""Replies that are no answer: the status decides the outcome, the body has the words."""

import aiohttp

from sizeup_loadtest.client.answer import UnreadableError, cut, error_of, parse
from sizeup_loadtest.data.record import Outcome

MAX_REFUSAL_BYTES = 64 << 10


async def refusal(response: aiohttp.ClientResponse) -> tuple[Outcome, str]:
    """Read what a server says instead of answering."""
    data = await response.content.read(MAX_REFUSAL_BYTES)
    return outcome_of(response.status), cut(f"HTTP {response.status}: {_words(data)}")


def outcome_of(status: int) -> Outcome:
    """Class a status that is not 200."""
    if status == 429:
        return Outcome.BUSY
    return Outcome.UNAVAILABLE if status >= 500 else Outcome.REFUSED


def _words(data: bytes) -> str:
    try:
        return error_of(parse(data)) or data.decode(errors="replace")
    except UnreadableError:
        return data.decode(errors="replace")
