"""What replies in one piece hold: bounded, because nothing else bounds it.

A body of 20 MB may ask for the log-probabilities of a million tokens, or for its prompts to come
back; a stream passes them on and holds none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sizeup_gateway.errors import BusyError, InvalidRequestError

_FREE_BYTES = 2**16
"""Of each reply: an answer without more is bounded by the number of requests at one time, and is
not refused because others are large. Some 15,000 tokens of text."""


class Gathering:
    """Count the bytes of all replies being gathered or sent."""

    def __init__(self, max_reply_bytes: int, max_total_bytes: int) -> None:
        """Bound one reply, and all of them together."""
        self._max_reply_bytes = min(max_reply_bytes, max_total_bytes + _FREE_BYTES)
        self._max_total_bytes = max_total_bytes
        self._held = 0

    @contextmanager
    def reply(self) -> Iterator[Callable[[int], None]]:
        """Give what counts bytes of one reply, until the reply has been sent.

        It raises InvalidRequestError for a reply that alone is too large, and BusyError for one
        that is too large beside the others.
        """
        own = counted = 0

        def count(size: int) -> None:
            nonlocal own, counted
            own += size
            if own > self._max_reply_bytes:
                message = (
                    f"the reply is larger than {self._max_reply_bytes} bytes: ask for fewer "
                    "prompts, tokens or log-probabilities at one time, or stream"
                )
                raise InvalidRequestError(message)
            beyond = max(0, own - _FREE_BYTES)
            self._held += beyond - counted
            counted = beyond
            if self._held > self._max_total_bytes:
                raise BusyError

        try:
            yield count
        finally:
            self._held -= counted
