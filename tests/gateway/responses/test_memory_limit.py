"""How much replies in one piece may hold, and what is said when they would hold more."""

import pytest

from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter

FREE = 2**16
"""Of each reply."""


def test_a_response_above_its_own_limit_is_an_invalid_request() -> None:
    with ResponseMemoryLimiter(8, FREE).response() as count:
        count(5)
        count(3)
        with pytest.raises(InvalidRequestError, match="stream"):
            count(1)


def test_a_response_too_large_beside_others_is_busy() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with gathering.response() as first:
        first(2 * FREE)
        with gathering.response() as second, pytest.raises(BusyError):
            second(2 * FREE + 1)
    with gathering.response() as third:
        third(3 * FREE)


def test_small_responses_are_not_rejected_because_of_large_ones() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, FREE)
    with gathering.response() as large:
        large(2 * FREE)
        with gathering.response() as small:
            for _ in range(FREE):
                small(1)


def test_memory_is_released_after_an_exception() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with gathering.response() as other:
        other(2 * FREE)
        for _ in range(3):
            with gathering.response() as count, pytest.raises(BusyError):
                count(3 * FREE)
        with gathering.response() as count:
            count(2 * FREE)


def test_a_response_above_the_total_is_an_invalid_request() -> None:
    with (
        ResponseMemoryLimiter(10 * FREE, FREE).response() as count,
        pytest.raises(InvalidRequestError),
    ):
        count(2 * FREE + 1)
