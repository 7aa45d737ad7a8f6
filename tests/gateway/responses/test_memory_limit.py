"""Memory limit of responses that are not streamed."""

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
