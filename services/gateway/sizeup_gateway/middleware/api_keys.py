"""The file of API keys: one per line, with the limits of its own that a key has."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from starlette.datastructures import Headers

from sizeup_gateway import cache_salt, client_identity
from sizeup_gateway.rate_limits import MAX_RATE, RateLimits
from sizeup_telemetry.secret_files import log_exposure

_NAMES = frozenset(field.name for field in fields(RateLimits))


class ApiKeys:
    """The accepted keys, of which only hashes are kept."""

    def __init__(self, keys: Mapping[str, RateLimits]) -> None:
        """`keys` are the keys themselves, with their limits."""
        self.limits = {client_identity.name_of_key(key): limits for key, limits in keys.items()}
        """By the name of the client."""
        self._salts = {_digest(key): cache_salt.derive(key) for key in keys}

    def __bool__(self) -> bool:
        """Whether a key is required."""
        return bool(self._salts)

    def salt_of(self, headers: Headers) -> str | None:
        """Return the cache salt of the key in `Authorization: Bearer` or `X-Api-Key`, if valid."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        return self._salts.get(_digest(key))  # how long that takes depends on the hash alone

    def client_of(self, headers: Sequence[tuple[bytes, bytes]], peer: str) -> str:
        """Return the name of a request's client before the request is checked."""
        salt = self.salt_of(Headers(raw=list(headers))) if self else None
        return client_identity.name_of(salt, peer)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def read_keys(path: Path | None, default: RateLimits) -> ApiKeys:
    """Return the keys of a file, none without one; raise OSError or ValueError."""
    if path is None:
        return ApiKeys({})
    try:
        found = parse_keys(path.read_text(encoding="utf-8"), default)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(f"{path} contains no API key")
    log_exposure(path)
    return ApiKeys(found)


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
            names = ", ".join(sorted(_NAMES))
            raise ValueError(f"line {line}: a key is followed by {names}=NUMBER, up to {MAX_RATE}")
        found[name] = int(value) or None
    return found


def _is_number(value: str) -> bool:
    digits = len(str(MAX_RATE))
    return value.isascii() and value.isdecimal() and int(value[: digits + 1]) <= MAX_RATE
