"""Bodies that are slow to arrive or slow to parse: the gateway goes on serving others."""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.deployment import Deployment, deployed
from chaos.test_floods import FLOODS, flood_again

CONNECTIONS = 64
"""The gateway's limit."""
_ATTACKERS = 16
_PROBE_SECONDS = 1.0
_INTERVAL_SECONDS = 0.1
ATTACKS = (
    "blank lines in a chunk",
    "last chunks in a chunk",
    "chunks of blank lines",
    "chunks of 16 bytes",
    "trailers",
    "blank lines between requests",
)
"""Of those that flood."""
_SLOW = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    settings = {"max_connections": CONNECTIONS}
    with deployed(tmp_path_factory.mktemp("bodies"), gateway=settings) as running:
        yield running


def connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(_SLOW)
    return client


def test_slow_bodies_leave_connections_for_others(
    limited: Deployment, attack_seconds: float
) -> None:
    """All others are served while the attacker replaces each connection that ends."""
    until, served = time.monotonic() + attack_seconds, 0
    with contextlib.ExitStack() as opened:
        slow = [opened.enter_context(connected(limited.gateway.port)) for _ in range(CONNECTIONS)]
        while time.monotonic() < until:
            assert limited.is_serving()
            served += 1
            slow.append(opened.enter_context(connected(limited.gateway.port)))
            for client in slow:
                with contextlib.suppress(OSError):  # the gateway has closed it
                    client.sendall(b" ")
            time.sleep(_INTERVAL_SECONDS)
    print(f"{served} requests served beside {len(slow)} slow bodies")


@pytest.mark.parametrize("attack", ATTACKS)
def test_probes_succeed_beside_bodies_that_are_slow_to_parse(
    limited: Deployment, attack: str, attack_seconds: float
) -> None:
    until, slowest = time.monotonic() + attack_seconds, 0.0
    with ThreadPoolExecutor(_ATTACKERS) as clients:
        for _ in range(_ATTACKERS):
            clients.submit(flood_again, limited.gateway.port, FLOODS[attack], until)
        while time.monotonic() < until:
            start = time.monotonic()
            limited.get("/livez", _PROBE_SECONDS)
            slowest = max(slowest, time.monotonic() - start)
    print(f"/livez within {slowest * 1000:.0f} ms")
    assert limited.is_serving()
