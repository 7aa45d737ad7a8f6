"""Whose request it is: capacity is shared fairly between clients, and limits apply to each."""

from contextvars import ContextVar
from ipaddress import IPv6Address, IPv6Network

from starlette.types import Scope

current: ContextVar[str] = ContextVar("client", default="")
"""The client of the current task's request; empty outside a request."""

_KEY_CHARACTERS = 32
"""Of the salt's 64: 128 bits, in which no two keys collide."""


_SCOPE_KEY = "sizeup.client"


def attach(scope: Scope, client: str) -> None:
    """Set the client of a request with an API key."""
    scope[_SCOPE_KEY] = client


def client_of(scope: Scope) -> str:
    """Return the client of a request."""
    peer = scope.get("client")
    client: str | None = scope.get(_SCOPE_KEY)
    return client or of_address(peer[0] if peer else "")


def of_name(name: str) -> str:
    """Return the client of API keys that have a name."""
    return f"name:{name}"


def of_salt(salt: str) -> str:
    """Return the client of an API key without a name, by its cache salt: it does not reveal it."""
    return f"key:{salt[:_KEY_CHARACTERS]}"


def of_address(peer: str) -> str:
    """Return the client of an address.

    Behind a proxy, all clients without keys are one: a header could name any address.
    """
    return f"address:{_network_of(peer)}" if peer else "address:unknown"


def _network_of(address: str) -> str:
    """Return the /64 of an IPv6 address: its client may use any of them."""
    if ":" not in address:
        return address
    parsed = IPv6Address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped
    return str(mapped or IPv6Network((parsed, 64), strict=False))
