"""Limits of each client: requests and tokens per minute, and concurrent requests. Pure."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum

MAX_RATE = 10**9
"""Of what a client does in a minute: more is no limit."""
_MAX_CLIENTS = 10_000
"""Clients whose use is kept; without a bound, addresses fill memory."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Of one client; None is unlimited."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Of prompts and outputs, counted as they become known: a client over the limit waits."""
    concurrent_requests: int | None = None

    @property
    def limits_anything(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))


class Exceeded(StrEnum):
    """Which limit; the values are OpenAI's error types."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT_REQUESTS = "concurrent_requests"


RATE_LIMIT_HEADERS = tuple(
    f"x-ratelimit-{what}-{kind}"
    for kind in (Exceeded.REQUESTS, Exceeded.TOKENS)
    for what in ("limit", "remaining", "reset")
)
"""OpenAI's: the limit of a minute, what is left, and the time until all of it is."""


class RateLimitedError(Exception):
    def __init__(self, exceeded: Exceeded, limit: int, retry_seconds: float) -> None:
        super().__init__(f"rate limit of {limit} {exceeded.value.replace('_', ' ')} exceeded")
        self.exceeded = exceeded
        self.retry_seconds = retry_seconds


class TokenBucket:
    """A minute's amount, refilled continuously."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.capacity = per_minute
        self._level = float(per_minute)
        self._at = now

    def level(self, now: float) -> float:
        """Return what is left; below 0 where more was taken than there was."""
        self._level = min(self.capacity, self._level + self.capacity / 60 * (now - self._at))
        self._at = now
        return self._level

    def take(self, amount: float, now: float) -> None:
        self._level = self.level(now) - amount

    def seconds_until(self, level: float, now: float) -> float:
        """Return the time until the level is reached."""
        return max(0.0, (level - self.level(now)) * 60 / self.capacity)


class Client:
    """The use of one client."""

    def __init__(self, limits: RateLimits, now: float) -> None:
        self.limits = limits
        self._requests = _bucket(limits.requests_per_minute, now)
        self._tokens = _bucket(limits.tokens_per_minute, now)
        self.running = 0

    def limit(self, limits: RateLimits, now: float) -> None:
        """Apply other limits; what runs, and what is left of a limit that stays, is kept."""
        before, self.limits = self.limits, limits
        if limits.requests_per_minute != before.requests_per_minute:
            self._requests = _bucket(limits.requests_per_minute, now)
        if limits.tokens_per_minute != before.tokens_per_minute:
            self._tokens = _bucket(limits.tokens_per_minute, now)

    def begin(self, now: float) -> None:
        """Count a further request, or raise RateLimitedError."""
        for kind, bucket in ((Exceeded.REQUESTS, self._requests), (Exceeded.TOKENS, self._tokens)):
            if bucket is not None and bucket.level(now) < 1:
                raise RateLimitedError(kind, bucket.capacity, bucket.seconds_until(1, now))
        most = self.limits.concurrent_requests
        if most is not None and self.running >= most:
            raise RateLimitedError(Exceeded.CONCURRENT_REQUESTS, most, 1.0)
        self.running += 1
        if self._requests is not None:
            self._requests.take(1, now)

    def take_tokens(self, tokens: int, now: float) -> None:
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def headers(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield RATE_LIMIT_HEADERS, as far as there are limits."""
        for kind, bucket in ((Exceeded.REQUESTS, self._requests), (Exceeded.TOKENS, self._tokens)):
            if bucket is not None:
                left = max(0, math.floor(bucket.level(now)))
                seconds = math.ceil(bucket.seconds_until(bucket.capacity, now))
                yield f"x-ratelimit-limit-{kind}", str(bucket.capacity)
                yield f"x-ratelimit-remaining-{kind}", str(left)
                yield f"x-ratelimit-reset-{kind}", f"{seconds}s"


def _bucket(per_minute: int | None, now: float) -> TokenBucket | None:
    return None if per_minute is None else TokenBucket(per_minute, now)


@dataclass(slots=True)
class Use:
    """One request of a client, which has begun."""

    client: Client
    tokens: Callable[[], int]
    """Returns those of the request so far."""
    clock: Callable[[], float]
    _counted: int = 0
    _ended: bool = False

    def count(self) -> None:
        """Count the tokens since the last time."""
        tokens = self.tokens()
        if tokens != self._counted:
            self.client.take_tokens(tokens - self._counted, self.clock())
            self._counted = tokens

    def end(self) -> None:
        """Count the rest; no effect after the first time."""
        self.count()
        if not self._ended:
            self._ended = True
            self.client.running -= 1

    def headers(self) -> Iterator[tuple[str, str]]:
        return self.client.headers(self.clock())


class RateLimiter:
    def __init__(self, limits_of: Callable[[str], RateLimits], clock: Callable[[], float]) -> None:
        """`limits_of` returns the present limits of a client; `clock` gives seconds."""
        self._limits_of = limits_of
        self._clock = clock
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def has_limits(self, client: str) -> bool:
        return self._limits_of(client).limits_anything

    def begin(self, client: str, tokens: Callable[[], int]) -> Use:
        """Begin a request, which the caller ends; raise RateLimitedError."""
        found, now = self._client(client), self._clock()
        found.begin(now)
        return Use(found, tokens, self._clock)

    def headers(self, client: str) -> Iterator[tuple[str, str]]:
        """Yield the headers of a refusal."""
        return self._client(client).headers(self._clock())

    def _client(self, name: str) -> Client:
        """Return the use of a client; that of the least recent ones is forgotten."""
        found, limits, now = self._clients.get(name), self._limits_of(name), self._clock()
        if found is None:
            self._forget()
            found = self._clients[name] = Client(limits, now)
        found.limit(limits, now)
        self._clients.move_to_end(name)
        return found

    def _forget(self) -> None:
        if len(self._clients) >= _MAX_CLIENTS:
            idle = next((name for name, one in self._clients.items() if not one.running), None)
            if idle is not None:
                del self._clients[idle]
