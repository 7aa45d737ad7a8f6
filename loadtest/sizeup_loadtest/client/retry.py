"""When a refused request is sent again: 429, and 503 with Retry-After. Pure.

A retry counts as latency, not as a failure, until the limits here or the deadline of the
request end it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of the waits of one request."""

    limit: int = 10
    """Attempts after the first: with the waits below over a minute, longer than a burst lasts."""
    first_seconds: float = 0.5
    """Doubled with each attempt, and drawn between half of it and all of it."""
    longest_seconds: float = 10.0
    """Of a wait without Retry-After."""
    longest_retry_after: float = 60.0
    """A server that is busy for longer is not measured by waiting for it."""

    def delay(
        self, status: int, retry_after: str | None, attempt: int, random: Random
    ) -> float | None:
        """Return the seconds to wait after refused attempt number `attempt`, from 0; None: give up.

        Jitter keeps refused users from coming back all at once.
        """
        asked = None if retry_after is None else seconds(retry_after, datetime.now(UTC))
        if attempt >= self.limit or not (status == 429 or (status == 503 and retry_after)):
            return None
        if asked is not None:
            return min(asked, self.longest_retry_after)
        backoff: float = min(self.first_seconds * 2**attempt, self.longest_seconds)
        return backoff * random.uniform(0.5, 1)


def seconds(retry_after: str, now: datetime) -> float | None:
    """Parse Retry-After: seconds, or an HTTP date; None when it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
