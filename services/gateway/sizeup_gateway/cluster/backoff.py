"""How long to wait before the API server is asked again. Pure."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
"""A new pod is found that much later, at worst, once the API server is back."""
_MOST_DOUBLINGS = 16


def pause_seconds(failures: int, jitter: float) -> float:
    """Return the pause after so many failures in a row, at least one; `jitter` is in [0, 1).

    Doubling, and spread over half of it: gateways that lost one server do not come back at once.
    """
    doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    return min(doubled, _LONGEST_PAUSE_SECONDS) * (0.5 + jitter / 2)
