"""Exponential backoff for requests to the API server. Pure."""

_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 15.0
"""Bounds how long a new pod stays undiscovered after the API server has recovered."""
_MAX_DOUBLINGS = 16


def pause_seconds(failures: int, jitter: float) -> float:
    """Return the pause after this many consecutive failures (at least 1); `jitter` is in [0, 1).

    The pause doubles with each failure; the jitter spreads the retries of several gateways.
    """
    doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    return min(doubled, _MAX_PAUSE_SECONDS) * (0.5 + jitter / 2)
