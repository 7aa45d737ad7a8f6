"""Limits of each client, by a clock that the test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from sizeup_gateway import rate_limits
from sizeup_gateway.rate_limits import (
    RATE_LIMIT_HEADERS,
    Client,
    Exceeded,
    RateLimitedError,
    RateLimiter,
    RateLimits,
    TokenBucket,
)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(
    clock: Clock, by_client: dict[str, RateLimits] | None = None, **default: int
) -> RateLimiter:
    return RateLimiter(lambda name: (by_client or {}).get(name, RateLimits(**default)), clock)


def use(limits: RateLimiter, client: str = "a", tokens: int = 0) -> None:
    limits.begin(client, lambda: tokens).end()


@contextmanager
def running(limits: RateLimiter, client: str = "a") -> Iterator[None]:
    used = limits.begin(client, lambda: 0)
    try:
        yield
    finally:
        used.end()


def refused(limits: RateLimiter, client: str = "a") -> RateLimitedError:
    with pytest.raises(RateLimitedError) as raised:
        use(limits, client)
    return raised.value


def test_a_bucket_refills_continuously_up_to_a_minute() -> None:
    bucket = TokenBucket(60, now=0.0)
    bucket.take(60, 0.0)
    assert bucket.level(0.0) == 0
    assert bucket.level(1.5) == 1.5
    assert bucket.level(1000.0) == 60


def test_a_bucket_goes_below_zero_and_names_the_time_until_it_is_not() -> None:
    bucket = TokenBucket(60, now=0.0)
    bucket.take(90, 0.0)
    assert bucket.level(0.0) == -30
    assert bucket.seconds_until(1, 0.0) == 31
    assert bucket.seconds_until(1, 40.0) == 0


def test_requests_of_a_minute() -> None:
    clock = Clock()
    limits = limiter(clock, requests_per_minute=3)
    for _ in range(3):
        use(limits)
    error = refused(limits)
    assert (error.exceeded, error.retry_seconds) == (Exceeded.REQUESTS, 20)
    clock.now += 20
    use(limits)
    refused(limits)


def test_a_refused_request_counts_nothing() -> None:
    clock = Clock()
    limits = limiter(clock, requests_per_minute=1, concurrent_requests=1)
    use(limits)
    for _ in range(10):
        refused(limits)
    clock.now += 60
    use(limits)


def test_tokens_are_counted_afterwards_and_the_next_request_waits() -> None:
    clock = Clock()
    limits = limiter(clock, tokens_per_minute=60)
    use(limits, tokens=90)
    error = refused(limits)
    assert (error.exceeded, error.retry_seconds) == (Exceeded.TOKENS, 31)
    clock.now += 31
    use(limits)


def test_tokens_of_a_running_request_count_once() -> None:
    limits, tokens = limiter(Clock(), tokens_per_minute=60), 0
    used = limits.begin("a", lambda: tokens)
    tokens = 59
    for _ in range(3):
        used.count()
    use(limits)
    tokens = 60
    used.count()
    assert refused(limits).exceeded is Exceeded.TOKENS
    tokens = 50  # a batch that began again
    used.end()
    used.end()
    assert dict(used.headers())["x-ratelimit-remaining-tokens"] == "10"


def test_a_request_ends_once() -> None:
    limits = limiter(Clock(), concurrent_requests=1)
    used = limits.begin("a", lambda: 0)
    used.end()
    used.end()
    with running(limits):
        refused(limits)


def test_concurrent_requests() -> None:
    limits = limiter(Clock(), concurrent_requests=2)
    with running(limits), running(limits):
        error = refused(limits)
        assert (error.exceeded, error.retry_seconds) == (Exceeded.CONCURRENT_REQUESTS, 1)
        use(limits, "b")
    use(limits)


def test_clients_do_not_affect_one_another_and_may_have_limits_of_their_own() -> None:
    limits = limiter(Clock(), {"b": RateLimits(requests_per_minute=5)}, requests_per_minute=1)
    use(limits, "a")
    refused(limits, "a")
    for _ in range(5):
        use(limits, "b")
    refused(limits, "b")
    use(limits, "c")


def test_headers_are_those_of_the_limits_that_there_are() -> None:
    clock = Clock()
    client = Client(RateLimits(requests_per_minute=60, tokens_per_minute=600), clock.now)
    assert tuple(dict(client.headers(clock.now))) == RATE_LIMIT_HEADERS
    client.begin(clock.now)
    client.take_tokens(700, clock.now)
    assert dict(client.headers(clock.now + 0.5)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "70s",
    }
    assert not dict(Client(RateLimits(concurrent_requests=1), 0.0).headers(1.0))


def test_the_least_recent_client_that_is_idle_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "_MAX_CLIENTS", 3)
    limits = limiter(Clock(), requests_per_minute=1)
    with running(limits, "running"):
        for client in "abc":
            use(limits, client)
        use(limits, "a")  # forgotten
        refused(limits, "c")
        refused(limits, "running")


def test_a_new_client_is_kept_where_all_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_MAX_CLIENTS", 1)
    limits = limiter(Clock(), requests_per_minute=1)
    with running(limits, "running"):
        use(limits, "new")
        refused(limits, "new")


@pytest.mark.parametrize(
    ("limits", "any_limit"),
    [
        (RateLimits(), False),
        (RateLimits(requests_per_minute=1), True),
        (RateLimits(tokens_per_minute=1), True),
        (RateLimits(concurrent_requests=1), True),
    ],
)
def test_limits_that_limit_nothing(limits: RateLimits, *, any_limit: bool) -> None:
    assert limits.limits_anything == any_limit


def test_a_limit_that_changes_starts_anew_and_the_others_are_kept() -> None:
    by_client = {"a": RateLimits(requests_per_minute=1, tokens_per_minute=60)}
    limits = limiter(Clock(), by_client)
    use(limits, tokens=60)
    assert refused(limits).exceeded is Exceeded.REQUESTS
    by_client["a"] = RateLimits(requests_per_minute=2, tokens_per_minute=60)
    assert refused(limits).exceeded is Exceeded.TOKENS
    by_client["a"] = RateLimits(requests_per_minute=2)
    use(limits)
    use(limits)
    refused(limits)


def test_what_runs_counts_after_a_change_of_the_limits() -> None:
    by_client = {"a": RateLimits(concurrent_requests=2)}
    limits = limiter(Clock(), by_client)
    with running(limits):
        by_client["a"] = RateLimits(concurrent_requests=1)
        refused(limits)
    use(limits)
