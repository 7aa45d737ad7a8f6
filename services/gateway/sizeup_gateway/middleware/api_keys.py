"""The API keys: one per line of a file, with the name and the limits that a key may have."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from starlette.datastructures import Headers

from sizeup_gateway import client_identity
from sizeup_gateway.client_identity import Identity
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.rate_limits import MAX_RATE, RateLimits
from sizeup_gateway.watched_file import WatchedFile
from sizeup_telemetry.secret_files import log_exposure

_log = logging.getLogger(__name__)
_LIMITS = tuple(sorted(field.name for field in fields(RateLimits)))
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Of label values and of the wire's client."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a line says of its key."""

    limits: RateLimits
    name: str | None = None
    """Keys of one name are one client: they share its limits."""


class ApiKeys:
    """The accepted keys, of which only hashes are kept."""

    def __init__(self, keys: Mapping[str, ApiKey], default: RateLimits) -> None:
        """`keys` are the keys themselves; `default` are the limits of clients without a key."""
        self._default = default
        self.replace(keys)

    def replace(self, keys: Mapping[str, ApiKey]) -> None:
        found = {key: client_identity.of_key(key, one.name) for key, one in keys.items()}
        self._identities = {_digest(key): identity for key, identity in found.items()}
        self._limits = {found[key].client: one.limits for key, one in keys.items()}

    def __bool__(self) -> bool:
        """Whether a key is required."""
        return bool(self._identities)

    def identify(self, headers: Headers) -> Identity | None:
        """Return whose key is in `Authorization: Bearer` or `X-Api-Key`; None if it is invalid."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        return self._identities.get(_digest(key))  # how long that takes depends on the hash alone

    def client_of(self, headers: Sequence[tuple[bytes, bytes]], peer: str) -> str:
        """Return the name of a request's client before the request is checked."""
        identity = self.identify(Headers(raw=list(headers))) if self else None
        return client_identity.of_address(peer) if identity is None else identity.client

    def limits_of(self, client: str) -> RateLimits:
        return self._limits.get(client, self._default)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def keys_file(
    path: Path, keys: ApiKeys, default: RateLimits, metrics: Metrics, poll_seconds: float
) -> WatchedFile:
    """Return the file of the accepted keys; an empty one is invalid and changes nothing."""

    def apply(content: bytes) -> None:
        is_reload, found = bool(keys), _keys_in(path, content, default)
        keys.replace(found)
        if is_reload:
            _log.info("api_keys.reloaded", extra={"keys": len(found)})
        log_exposure(path)

    def note(error: str) -> None:
        _log.error("api_keys.invalid", extra={"error": error})

    return WatchedFile(path, poll_seconds, apply, metrics.api_keys_invalid.set, note)


def _keys_in(path: Path, content: bytes, default: RateLimits) -> Mapping[str, ApiKey]:
    """Return the keys of a file's content; raise ValueError, which names the file."""
    try:
        found = parse_keys(content.decode("utf-8"), default)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(f"{path} contains no API key")
    return found


def parse_keys(text: str, default: RateLimits) -> Mapping[str, ApiKey]:
    """Return the keys of a text; raise ValueError, which names the line, for an invalid one.

    A line is a key, then any of name=, requests_per_minute=, tokens_per_minute= and
    concurrent_requests=; the limits replace the default, and 0 is unlimited. A line that begins
    with # is a comment.
    """
    found: dict[str, ApiKey] = {}
    by_name: dict[str, RateLimits] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, *settings = line.split() or ["#"]
        if key.startswith("#"):
            continue
        one = found[key] = _api_key(settings, number, default)
        if one.name and by_name.setdefault(one.name, one.limits) != one.limits:
            raise ValueError(f"line {number}: keys of one name have the same limits")
    return found


def _api_key(settings: list[str], line: int, default: RateLimits) -> ApiKey:
    """Never quote what stands in the file: it may be a key."""
    name: str | None = None
    limits: dict[str, int | None] = {}
    for setting in settings:
        field, _, value = setting.partition("=")
        if field == "name" and _NAME.fullmatch(value):
            name = value
        elif field in _LIMITS and _is_number(value):
            limits[field] = int(value) or None
        else:
            names = ", ".join(_LIMITS)
            raise ValueError(
                f"line {line}: a key is followed by name=NAME ({_NAME.pattern}) and "
                f"{names}=NUMBER, up to {MAX_RATE}"
            )
    return ApiKey(replace(default, **limits), name)


def _is_number(value: str) -> bool:
    digits = len(str(MAX_RATE))
    return value.isascii() and value.isdecimal() and int(value[: digits + 1]) <= MAX_RATE
