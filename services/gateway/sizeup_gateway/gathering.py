"""What replies in one piece hold of log-probabilities: bounded, because nothing else bounds it.

A body of 20 MB may ask for those of a million tokens; a stream passes them on and holds none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_wire.events import Event, PromptToken, PromptTokens, Text, Thinking, TokenLogprob


class Gathering:
    """Count the log-probabilities of all replies being gathered, the likeliest included."""

    def __init__(self, limit: int) -> None:
        """Share one limit among all requests; each takes about 0.6 kB."""
        self._limit = limit
        self._held = 0

    @contextmanager
    def reply(self) -> Iterator[Callable[[Event], None]]:
        """Give what counts each event of one reply, until the reply has been sent.

        It raises InvalidRequestError for a reply that alone is too large, and BusyError for one
        that is too large beside the others.
        """
        own = 0

        def count(event: Event) -> None:
            nonlocal own
            values = _values(event)
            own += values
            self._held += values
            if own > self._limit:
                message = (
                    f"more than {self._limit} log-probabilities in one reply: "
                    "ask for fewer prompts or tokens at one time, or stream"
                )
                raise InvalidRequestError(message, "logprobs")
            if self._held > self._limit:
                raise BusyError

        try:
            yield count
        finally:
            self._held -= own


def _values(event: Event) -> int:
    tokens: Sequence[PromptToken | TokenLogprob] = ()
    match event:
        case PromptTokens():
            tokens = event.tokens
        case Text() | Thinking():
            tokens = event.logprobs
    return sum(1 + len(token.top) for token in tokens)
