"""Processes that listen on `::`, as the pods of an IPv6-only cluster do."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from gateway.harness import catalog
from gateway.test_process import CHAT, Process, free_port, gateway_process
from inference.test_main import process, until_ready
from inference.test_wait_for_download import NOT_BEGUN, WAIT, reports, until_true

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")

HOSTS = ("[::1]", "127.0.0.1")
EVERY = {"host": "::"}


async def get(gateway: Process, url: str) -> str:
    named = {"Host": "sizeup-gateway.models.svc"}
    async with gateway.http.get(url, headers=named) as response:
        assert response.status == 200
        return await response.text()


def test_a_gateway_reaches_a_replica_and_both_are_reached_by_either_family(tmp_path: Path) -> None:
    port, metrics_port, front_metrics_port = free_port(), free_port(), free_port()

    async def scenario() -> None:
        served = catalog(f"http://[::1]:{port}")
        front = {**EVERY, "metrics_port": front_metrics_port}
        async with gateway_process(served, tmp_path, **front) as gateway:
            own_port = gateway.url.rpartition(":")[2]
            for host in HOSTS:
                chat = f"http://{host}:{own_port}/api/chat"
                async with gateway.http.post(chat, json={**CHAT, "stream": False}) as response:
                    assert json.loads(await response.text())["done"] is True
                assert "ok" in await get(gateway, f"http://{host}:{own_port}/livez")
                for metrics in (metrics_port, front_metrics_port):
                    assert "sizeup_" in await get(gateway, f"http://{host}:{metrics}/metrics")

    with process(port, HOST="::", METRICS_PORT=str(metrics_port), FAKE_TOKEN_SECONDS="0"):
        until_ready(port)
        asyncio.run(scenario())


def test_the_wait_for_a_download_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    port = free_port()
    with process(port, WAIT, MODEL="Qwen/tiny", HOST="::"):
        until_true(lambda: all(reports(port, NOT_BEGUN, host) for host in HOSTS))
