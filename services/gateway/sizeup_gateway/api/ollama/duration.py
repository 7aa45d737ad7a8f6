"""Ollama's keep_alive: seconds as a number, or a Go duration."""

import re

FOREVER = -1.0
"""As in the wire request."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60, "h": 3600}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
DURATION = r"^[+-]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
"""A pattern of all texts that are valid, for the API document."""
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)
MAX_CHARACTERS = 64


def keep_alive_seconds(value: float | str) -> float:
    """Return seconds, or FOREVER; raise ValueError with Go's messages.

    FOREVER is every negative value, as in Ollama, and every integer too large for a float.
    """
    try:
        seconds = _parse(value) if isinstance(value, str) else float(value)
    except OverflowError:
        return FOREVER
    return FOREVER if seconds < 0 else seconds


def _parse(text: str) -> float:
    """Parse like Go's time.ParseDuration."""
    shown = f'"{text[:MAX_CHARACTERS]}"'
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return 0.0
    parts = list(_PART.finditer(digits))
    if parts and "".join(part[0] for part in parts) == digits and len(text) <= MAX_CHARACTERS:
        return sign * sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    if _NUMBER.fullmatch(digits):
        raise ValueError(f"time: missing unit in duration {shown}")
    raise ValueError(f"time: invalid duration {shown}")
