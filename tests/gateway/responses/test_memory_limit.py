"""Memory limit of responses that are kept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter

FREE = 2**16
"""Bytes of each response that are not counted."""


def test_a_response_above_its_own_limit_is_an_invalid_request() -> None:
    with ResponseMemoryLimiter(8, FREE).response() as count:
        count(5)
        count(3)
        with pytest.raises(InvalidRequestError, match="stream"):
            count(1)


def test_a_response_too_large_beside_others_is_busy() -> None:
    limiter = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with limiter.response() as first:
        first(2 * FREE)
        with limiter.response() as second, pytest.raises(BusyError):
            second(2 * FREE + 1)
    with limiter.response() as third:
        third(3 * FREE)


def test_small_responses_are_not_rejected_because_of_large_ones() -> None:
    limiter = ResponseMemoryLimiter(10 * FREE, FREE)
    with limiter.response() as large:
        large(2 * FREE)
        with limiter.response() as small:
            for _ in range(FREE):
                small(1)


def test_memory_is_released_after_an_exception() -> None:
    limiter = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with limiter.response() as other:
        other(2 * FREE)
        for _ in range(3):
            with limiter.response() as count, pytest.raises(BusyError):
                count(3 * FREE)
        with limiter.response() as count:
            count(2 * FREE)


def test_a_response_above_the_total_is_an_invalid_request() -> None:
    with (
        ResponseMemoryLimiter(10 * FREE, FREE).response() as count,
        pytest.raises(InvalidRequestError),
    ):
        count(2 * FREE + 1)


def test_what_a_stream_keeps_is_counted_until_it_ends() -> None:
    limiter = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    kept = 0

    async def events() -> AsyncGenerator[Sequence[int]]:
        for size in (FREE, 2 * FREE):
            yield [size]

    async def scenario() -> list[int]:
        nonlocal kept
        received = []
        async with aclosing(limiter.stream(events, lambda: kept)) as stream:
            async for (size,) in stream:
                kept += size
                received.append(size)
        return received

    with limiter.response() as other:
        other(FREE)
        assert asyncio.run(scenario()) == [FREE, 2 * FREE]
        kept = 0
        other(1)
        with pytest.raises(BusyError):
            asyncio.run(scenario())
    with limiter.response() as after:
        after(3 * FREE)
