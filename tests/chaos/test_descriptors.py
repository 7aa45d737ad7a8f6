"""More connections than the limit of open files: new ones are served, and the log stays short."""

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

import pytest

from chaos.deployment import Deployment, deployed
from system.deployment import wait_until

FILES = 128
CLIENTS = 200
LINES_PER_SECOND = 250
"""Of the log: 200 requests that are finished, and the limits of a few warnings."""
_PROBE_SECONDS = 1.0
_SETTLE_SECONDS = 30.0

_PARTIAL = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n"
_ENDLESS = b'{"model":"chaos:1","prompt":"hi","raw":true,"options":{"num_predict":100000}}'
_GENERATE = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"

OPENINGS = {
    "idle": b"",
    "headers": _PARTIAL,
    "body": _PARTIAL + b"Content-Length: 100\r\n\r\n{",
    "streams": _GENERATE % (len(_ENDLESS), _ENDLESS),
    "refused": _PARTIAL + b"Content-Length: 99999999999\r\n\r\n{",
}
"""What a client sends before it stops."""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("descriptors")
    with deployed(folder, gateway_files=FILES) as running:
        yield running


@contextlib.contextmanager
def connected(port: int, opening: bytes) -> Iterator[Sequence[socket.socket]]:
    """Open more connections than the gateway has descriptors."""
    with contextlib.ExitStack() as opened:
        clients = []
        for _ in range(CLIENTS):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(OSError):  # the gateway may have closed it
                client.sendall(opening)
            clients.append(client)
        yield clients


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_new_connections_are_served(
    limited: Deployment, opening: bytes, attack_seconds: float
) -> None:
    before = len(limited.gateway.log_lines())
    with connected(limited.gateway.port, opening):
        until = time.monotonic() + attack_seconds
        while time.monotonic() < until:
            limited.get("/livez", _PROBE_SECONDS)
            assert limited.gateway.descriptors() < FILES
    lines = len(limited.gateway.log_lines()) - before
    print(f"{lines / attack_seconds:.0f} lines per second")
    assert lines < LINES_PER_SECOND * max(attack_seconds, 1)
    wait_until(limited.is_serving, "serving", _SETTLE_SECONDS)
