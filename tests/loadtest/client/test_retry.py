"""Refused requests wait and are sent again: the policy, and over real sockets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random

import pytest

from loadtest.client.sending import send
from loadtest.fake_server import ReceivedRequest, openai_answer, status, stream_of
from loadtest.mock import Behaviour, MockModel
from loadtest.truth.against_mock import LoadCase, run_load
from sizeup_loadtest.client import retry
from sizeup_loadtest.client.retry import RetryPolicy
from sizeup_loadtest.data.record import Outcome

POLICY = RetryPolicy()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        (" 0.5 ", 0.5),
        ("Thu, 01 Jan 2026 00:00:07 GMT", 7),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry.seconds(text, NOW) == seconds


def test_the_wait_is_what_the_server_asks_for_within_bounds() -> None:
    assert POLICY.delay(429, "3", 0, Random(0)) == 3
    assert POLICY.delay(503, "3", 0, Random(0)) == 3
    assert POLICY.delay(429, "86400", 0, Random(0)) == POLICY.longest_retry_after
    assert POLICY.delay(429, "3", POLICY.limit, Random(0)) is None
    assert POLICY.delay(503, None, 0, Random(0)) is None
    assert POLICY.delay(500, "3", 0, Random(0)) is None


def test_without_retry_after_the_wait_doubles_with_jitter() -> None:
    for attempt in range(POLICY.limit):
        longest = min(POLICY.first_seconds * 2**attempt, POLICY.longest_seconds)
        waits = {POLICY.delay(429, None, attempt, Random(seed)) for seed in range(20)}
        assert len(waits) == 20
        assert all(wait is not None and longest / 2 <= wait <= longest for wait in waits)
    assert POLICY.delay(429, "soon", 0, Random(0)) is not None


def test_refused_users_wait_and_are_served() -> None:
    """Two places and a queue of one: four users take turns, and nothing fails."""
    size = MockModel("m", ttft_seconds=0.02, gap_seconds=0.001, parallel=2, tokens=8)
    behaviour = Behaviour((size,), max_waiting=1, retry_after="0.05")
    seen = run_load(behaviour, LoadCase(4, 24, retry=RetryPolicy(limit=100)))
    assert {s.record.outcome for s in seen} == {Outcome.OK}
    refused = [s.record for s in seen if s.record.retries]
    assert refused
    for one in refused:
        assert one.waited_ns >= one.retries * 50_000_000
        assert one.scheduled_ns <= one.begun_ns == one.sent_ns - one.waited_ns


def test_a_wait_beyond_the_deadline_of_the_request_ends_it() -> None:
    record = send(status(429, {"error": "later"}), seconds=0.1)
    assert (record.outcome, record.retries) == (Outcome.BUSY, 0)
    assert "later" in record.error


def test_a_refused_request_is_sent_again() -> None:
    calls: list[int] = []

    async def second(request: ReceivedRequest) -> AsyncIterator[bytes]:
        calls.append(1)
        response = stream_of(*openai_answer()) if len(calls) > 1 else status(429, {})
        async for piece in response(request):
            yield piece

    record = send(second)
    assert (record.outcome, record.retries, len(calls)) == (Outcome.OK, 1, 2)
    assert record.waited_ns >= POLICY.first_seconds / 2 * 1e9
