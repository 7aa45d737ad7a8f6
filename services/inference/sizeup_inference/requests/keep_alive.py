"""How long the model stays after its last use: Ollama's keep_alive. Pure: the clock is an argument.

The process does not unload itself: it says when it may go, and who scales it acts on that.
"""

_FOR_EVER_SECONDS = 100 * 365 * 86_400
"""A century and more is for ever; what lies below can be written as a date."""


class Residence:
    """When the model was last used, and how long it stays after that.

    Times are unix seconds, because they leave the process.
    """

    def __init__(self, keep_alive_seconds: float | None, now: float) -> None:
        """Start the clock; None is for ever, until a request says otherwise."""
        self._keep_alive = _finite(keep_alive_seconds)
        self._in_use = 0
        self._last_use = now

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is under way."""
        return not self._in_use

    def begin(self) -> None:
        """Count a request in: the model stays until it has been counted out."""
        self._in_use += 1

    def end(self, now: float) -> None:
        """Count a request out, however it ended; the last one starts the clock."""
        self._in_use -= 1
        self._last_use = now

    def keep_alive(self, seconds: float) -> None:
        """Stay so long after the last use; below 0 is for ever."""
        self._keep_alive = _finite(seconds)

    def expires_at(self, now: float) -> float | None:
        """Return when an idle model may go, or None for never; it moves while a request runs."""
        if self._keep_alive is None:
            return None
        return (now if self._in_use else self._last_use) + self._keep_alive


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < _FOR_EVER_SECONDS else None
