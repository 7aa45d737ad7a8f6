"""The prefix cache salt of a request: an API key's own, so that keys never share pages.

Otherwise a client could find out by response times what prompts other clients have sent.
"""

import hashlib
import hmac

from starlette.types import Scope

_SCOPE_KEY = "sizeup.cache_salt"
_CONTEXT = b"sizeup prefix cache"
"""Separates the salt from other hashes of the key."""


def derive(key: str) -> str:
    """Return the salt of an API key, equal in every gateway; it does not reveal the key."""
    encoded = key.encode("utf-8", "surrogateescape")
    return hmac.new(encoded, _CONTEXT, hashlib.sha256).hexdigest()


def attach(scope: Scope, salt: str) -> None:
    scope[_SCOPE_KEY] = salt


def salt_of(scope: Scope) -> str | None:
    """Return the salt of a request; None where no API keys are configured."""
    salt: str | None = scope.get(_SCOPE_KEY)
    return salt
