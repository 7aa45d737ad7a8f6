"""How much replies in one piece may hold, and what is said when they would hold more."""

import pytest

from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter

FREE = 2**16
"""Of each reply."""


def test_a_reply_that_alone_is_too_large_is_told_what_to_do() -> None:
    with ResponseMemoryLimiter(8, FREE).response() as count:
        count(5)
        count(3)
        with pytest.raises(InvalidRequestError, match="stream"):
            count(1)


def test_one_that_is_too_large_beside_others_may_come_again() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with gathering.response() as first:
        first(2 * FREE)
        with gathering.response() as second, pytest.raises(BusyError):
            second(2 * FREE + 1)
    with gathering.response() as third:
        third(3 * FREE)


def test_small_replies_are_not_refused_because_of_large_ones() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, FREE)
    with gathering.response() as large:
        large(2 * FREE)
        with gathering.response() as small:
            for _ in range(FREE):
                small(1)


def test_what_a_reply_held_is_free_again_however_it_ended() -> None:
    gathering = ResponseMemoryLimiter(10 * FREE, 2 * FREE)
    with gathering.response() as other:
        other(2 * FREE)
        for _ in range(3):
            with gathering.response() as count, pytest.raises(BusyError):
                count(3 * FREE)
        with gathering.response() as count:
            count(2 * FREE)


def test_a_reply_that_could_never_fit_is_not_told_to_come_again() -> None:
    with (
        ResponseMemoryLimiter(10 * FREE, FREE).response() as count,
        pytest.raises(InvalidRequestError),
    ):
        count(2 * FREE + 1)
