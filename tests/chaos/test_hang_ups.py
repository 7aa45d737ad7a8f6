"""Clients that hang up in every phase: the gateway and inference return to where they were."""

import json
import random
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.deployment import MODEL, Deployment, deployed
from system.deployment import wait_until

_CLIENTS = 8
_LONG = 5000
"""Tokens: no stream ends before its client has gone."""
_GROWTH_MIB = 32.0
"""Allocators keep some 20 MiB of the first streams; of each later hang-up, nothing may remain."""
_BASELINE_SECONDS = 30.0


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("hang-ups"), inference={"max_num_seqs": 4}) as running:
        yield running


def request(*, stream: bool) -> bytes:
    messages = [{"role": "user", "content": "x" * _LONG}]
    options = {"num_predict": _LONG}
    fields = {"model": MODEL, "messages": messages, "stream": stream, "options": options}
    body = json.dumps(fields).encode()
    head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def hang_up(port: int, seed: int) -> None:
    """Send all or part of a request, read none, one or some pieces, and close or reset."""
    draw = random.Random(seed)
    data = request(stream=draw.random() < 0.7)
    if draw.random() < 0.2:
        data = data[: draw.randrange(len(data))]
    with socket.create_connection(("127.0.0.1", port)) as client:
        if draw.random() < 0.5:  # a reset in place of an orderly close
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.sendall(data)
        client.settimeout(0.05)
        try:
            for _ in range(draw.choice((0, 0, 1, 5))):
                client.recv(4096)
        except TimeoutError:
            return  # queued, or a whole response


def hang_up_again(port: int, seed: int, until: float) -> int:
    count = 0
    while time.monotonic() < until:
        hang_up(port, seed + count)
        count += 1
    return count


def is_idle(deployment: Deployment) -> bool:
    """Whether inference computes nothing, and the gateway has no request in flight."""
    with urllib.request.urlopen(f"{deployment.inference.url}/internal/v1/stats") as response:
        stats = json.load(response)
    metrics = deployment.get("/metrics").decode().splitlines()
    in_flight = [line for line in metrics if line.startswith("sizeup_gateway_requests_in_flight{")]
    busy = any(float(line.rpartition(" ")[2]) for line in in_flight)
    return not (stats["running"] or stats["waiting"] or busy)


def test_nothing_remains_of_clients_that_hang_up(
    serving: Deployment, attack_seconds: float
) -> None:
    hang_up_again(serving.gateway.port, 10**6, time.monotonic() + 0.5)
    wait_until(lambda: is_idle(serving), "idle", _BASELINE_SECONDS)
    memory, files = serving.gateway.resident_mib(), serving.gateway.descriptors()
    until = time.monotonic() + attack_seconds
    with ThreadPoolExecutor(_CLIENTS) as clients:
        port = serving.gateway.port
        counts = [clients.submit(hang_up_again, port, i * 10**4, until) for i in range(_CLIENTS)]
    wait_until(lambda: is_idle(serving), "idle", _BASELINE_SECONDS)
    wait_until(lambda: serving.gateway.descriptors() <= files + 8, "closed", _BASELINE_SECONDS)
    growth = serving.gateway.resident_mib() - memory
    print(f"{sum(count.result() for count in counts)} hang-ups, {growth:+.1f} MiB")
    assert growth < _GROWTH_MIB
    assert serving.is_serving()
