"""Whose request it is."""

import pytest
from starlette.types import Scope

from sizeup_gateway.client_identity import attach, client_of, of_key


def scope(peer: str | None) -> Scope:
    return {"type": "http", "client": None if peer is None else (peer, 50000)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),  # one host has the whole /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::1", True),
        (None, None, True),
    ],
)
def test_addresses_of_one_client(one: str | None, other: str | None, *, same: bool) -> None:
    assert (client_of(scope(one)) == client_of(scope(other))) == same


def test_a_key_comes_before_the_address() -> None:
    identified = scope("10.0.0.1")
    attach(identified, of_key("secret", "team-a"))
    assert client_of(identified) == "name:team-a"
