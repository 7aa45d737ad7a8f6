"""When an idle model may be unloaded: Ollama's keep_alive. Pure: the clock is an argument.

The process does not unload itself. It reports when it expires, and the gateway scales it down.
"""

_UNLIMITED_SECONDS = 100 * 365 * 86_400
"""A century counts as unlimited; anything below can be written as a date."""


class KeepAlive:
    """The time of last use and the keep-alive after it. Times are unix seconds."""

    def __init__(self, keep_alive_seconds: float | None, now: float) -> None:
        """None is unlimited, until a request sets another value."""
        self._seconds = _finite(keep_alive_seconds)
        self._active_requests = 0
        self._last_use = now

    @property
    def is_idle(self) -> bool:
        return not self._active_requests

    def begin_request(self) -> None:
        """Count a request, which prevents expiry until it ends."""
        self._active_requests += 1

    def end_request(self, now: float) -> None:
        """Count a request as ended; the last one restarts the clock."""
        self._active_requests -= 1
        self._last_use = now

    def set(self, seconds: float) -> None:
        """Set the keep-alive after the last use; negative is unlimited."""
        self._seconds = _finite(seconds)

    def expires_at(self, now: float) -> float | None:
        """Return when the model may be unloaded; None is never. Advances while a request runs."""
        if self._seconds is None:
            return None
        return (now if self._active_requests else self._last_use) + self._seconds


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < _UNLIMITED_SECONDS else None
