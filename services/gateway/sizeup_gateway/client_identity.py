"""Whose request it is: capacity is shared fairly between clients, and limits apply to each."""

import hashlib
import hmac
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from starlette.types import Scope

current: ContextVar[str] = ContextVar("client", default="")
"""The client of the current task's request; empty outside a request."""

_SCOPE_KEY = "sizeup.identity"
_SALT_CONTEXT = b"sizeup prefix cache"
"""Separates the salt from other hashes of the key."""
_KEY_CHARACTERS = 32
"""Of the salt's 64: 128 bits, in which no two keys collide."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose API key it is."""

    client: str
    salt: str
    """Of the prefix cache, so that keys never share pages: otherwise a client could find out by
    response times what prompts other clients have sent. Equal in every gateway."""
    name: str | None


def of_key(key: str, name: str | None) -> Identity:
    """Return the identity of a key, which it does not reveal; keys of one name are one client."""
    encoded = key.encode("utf-8", "surrogateescape")
    salt = hmac.new(encoded, _SALT_CONTEXT, hashlib.sha256).hexdigest()
    client = f"key:{salt[:_KEY_CHARACTERS]}" if name is None else f"name:{name}"
    return Identity(client, salt, name)


def of_address(peer: str) -> str:
    """Return the client of an address, or of the /64 of IPv6: a client may use any of these.

    Behind a proxy, all clients without keys are one: a header could name any address.
    """
    if ":" not in peer:
        return f"address:{peer or 'unknown'}"
    parsed = IPv6Address(peer.partition("%")[0])
    return f"address:{parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False)}"


def attach(scope: Scope, identity: Identity) -> None:
    scope[_SCOPE_KEY] = identity


def client_of(scope: Scope) -> str:
    identity: Identity | None = scope.get(_SCOPE_KEY)
    peer = scope.get("client")
    return of_address(peer[0] if peer else "") if identity is None else identity.client


def salt_of(scope: Scope) -> str | None:
    """Return the cache salt of a request; None where no API keys are configured."""
    identity: Identity | None = scope.get(_SCOPE_KEY)
    return None if identity is None else identity.salt
