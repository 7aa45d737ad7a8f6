"""Whose request it is: capacity is shared fairly between clients, and limits apply to each."""

from contextvars import ContextVar
from ipaddress import IPv6Address, IPv6Network

from starlette.types import Scope

from sizeup_gateway.cache_salt import derive, salt_of

current: ContextVar[str] = ContextVar("client", default="")
"""The client of the current task's request; empty outside a request."""

_KEY_CHARACTERS = 32
"""Of the salt's 64: 128 bits, in which no two keys collide."""


def name_of_key(key: str) -> str:
    """Return the name of the client with an API key."""
    return _name_of_salt(derive(key))


def client_of(scope: Scope) -> str:
    """Return the name of a request's client."""
    peer = scope.get("client")
    return name_of(salt_of(scope), peer[0] if peer else "")


def name_of(salt: str | None, peer: str) -> str:
    """Return a name of an API key, by its salt, that does not reveal it, or of an address.

    Behind a proxy, all clients without keys are one: a header could name any address.
    """
    if salt is not None:
        return _name_of_salt(salt)
    return f"address:{_network_of(peer)}" if peer else "address:unknown"


def _network_of(address: str) -> str:
    """Return the /64 of an IPv6 address: its client may use any of them."""
    if ":" not in address:
        return address
    parsed = IPv6Address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped
    return str(mapped or IPv6Network((parsed, 64), strict=False))


def _name_of_salt(salt: str) -> str:
    return f"key:{salt[:_KEY_CHARACTERS]}"
