"""The file of API keys: one per line, with the limits of its own that a key has."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from sizeup_gateway.rate_limits import RateLimits
from sizeup_telemetry.secret_files import log_exposure

_NAMES = frozenset(field.name for field in fields(RateLimits))
_MAX_DIGITS = 9


def read_keys(path: Path | None, default: RateLimits) -> Mapping[str, RateLimits]:
    """Return the limits of each key, none without a file; raise OSError or ValueError."""
    if path is None:
        return {}
    try:
        found = parse_keys(path.read_text(encoding="utf-8"), default)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(f"{path} contains no API key")
    log_exposure(path)
    return found


def parse_keys(text: str, default: RateLimits) -> Mapping[str, RateLimits]:
    """Return the limits of each key; raise ValueError, which names the line, for an invalid one.

    A line is a key, then any of requests_per_minute=, tokens_per_minute= and concurrent_requests=,
    which replace the default; 0 is unlimited. A line that begins with # is a comment.
    """
    found: dict[str, RateLimits] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, *settings = line.split() or ["#"]
        if not key.startswith("#"):
            found[key] = replace(default, **_limits(settings, number))
    return found


def _limits(settings: list[str], line: int) -> dict[str, int | None]:
    """Never quote what stands in the file: it may be a key."""
    found: dict[str, int | None] = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator or name not in _NAMES or not _is_number(value):
            raise ValueError(
                f"line {line}: a key is followed by {', '.join(sorted(_NAMES))}=NUMBER, of at most "
                f"{_MAX_DIGITS} digits"
            )
        found[name] = int(value) or None
    return found


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS
