"""A limit of the memory for responses that are kept.

A body of 20 MB may request the log-probabilities of a million tokens, or the echo of its prompts.
Whole responses keep them; a stream passes them on, except for one that repeats them at its end.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TypeVar

from sizeup_gateway.errors import BusyError, InvalidRequestError

_FREE_BYTES = 2**16
"""Not counted, per response: some 15,000 tokens of text. The concurrency limit bounds their sum, so
that ordinary responses are never rejected because of large ones."""

_EventT = TypeVar("_EventT")


class ResponseMemoryLimiter:
    """Counts the bytes of all responses that are being collected or sent."""

    def __init__(self, max_response_bytes: int, max_total_bytes: int) -> None:
        self._max_response_bytes = min(max_response_bytes, max_total_bytes + _FREE_BYTES)
        self._max_total_bytes = max_total_bytes
        self._used = 0

    @contextmanager
    def response(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts bytes of one response until the block ends.

        It raises InvalidRequestError if the response is too large by itself, and BusyError if it
        is too large beside the others.
        """
        size = counted = 0

        def count(added: int) -> None:
            nonlocal size, counted
            size += added
            if size > self._max_response_bytes:
                message = (
                    f"the response is larger than {self._max_response_bytes} bytes: request fewer "
                    "prompts, tokens or logprobs at once, or set stream"
                )
                raise InvalidRequestError(message)
            excess = max(0, size - _FREE_BYTES)
            self._used += excess - counted
            counted = excess
            if self._used > self._max_total_bytes:
                raise BusyError

        try:
            yield count
        finally:
            self._used -= counted

    async def stream(
        self, events: Callable[[], AsyncGenerator[Sequence[_EventT]]], kept_bytes: Callable[[], int]
    ) -> AsyncGenerator[Sequence[_EventT]]:
        """Yield the events of a stream, and count what it keeps: `kept_bytes` so far."""
        counted = 0
        with self.response() as count:
            async with aclosing(events()) as stream:
                async for batch in stream:
                    for event in batch:  # counted before the next one is sent
                        yield [event]
                        count(kept_bytes() - counted)
                        counted = kept_bytes()
