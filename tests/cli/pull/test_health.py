import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest

from sizeup.ports import serving
from sizeup.pull.health import start_health
from sizeup_store.pull_report import PullProgress, PullReport


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
        return found


def serve_health(progress: PullProgress, port: int | None) -> AbstractContextManager[None]:
    return serving("--health-port", port, partial(start_health, progress))


@pytest.fixture
def report(port: int) -> Iterator[PullReport]:
    made = PullReport()
    with serve_health(made.progress, port):
        yield made


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_readyz_reports_the_progress(port: int, report: PullReport) -> None:
    body = {"state": "downloading", "stage": "downloading", "progress": 0.0}
    assert get(port, "/readyz") == (503, body)
    report.plan(1, 200)
    report.file("model.safetensors", 200)
    report.received(50)
    body = {"state": "downloading", "stage": "downloading model.safetensors", "progress": 0.25}
    assert get(port, "/readyz") == (503, body)


def test_other_paths(port: int, report: PullReport) -> None:
    assert get(port, "/livez") == (200, {"state": "alive"})
    assert get(port, "/metrics")[0] == 404


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")
def test_both_families_are_served(port: int, report: PullReport) -> None:
    assert {get(port, "/livez", host)[0] for host in ("127.0.0.1", "[::1]")} == {200}


def test_nothing_is_served_without_a_port_and_after_the_pull(port: int) -> None:
    with serve_health(PullReport().progress, None):
        pass
    with serve_health(PullReport().progress, port):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1.0)
