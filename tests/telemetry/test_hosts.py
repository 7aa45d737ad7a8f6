"""Host headers, by a metrics port, which has only this check."""

import asyncio
import json
import socket
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Scope

from sizeup_telemetry.hosts import is_local_host
from sizeup_telemetry.metrics import metrics_app

Headers = Iterable[tuple[bytes, bytes]]


def get(bound_to: str, headers: Headers, version: str = "1.1") -> tuple[int, bytes]:
    """Return the status and body of /metrics."""
    scope: Scope = {
        "type": "http", "http_version": version, "method": "GET", "path": "/metrics",
        "raw_path": b"/metrics", "query_string": b"", "root_path": "", "scheme": "http",
        "headers": list(headers),
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(metrics_app(CollectorRegistry(), bound_to)(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:11434", True),
        ("127.0.0.1:11434", True),
        ("[::1]:11434", True),
        ("[::1]", True),
        ("app.localhost", True),
        ("printer.local", True),
        ("10.0.0.7", True),
        ("", True),
        ("evil.example", False),
        ("evil.example:11434", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[evil", False),
    ],
)
def test_local_host_names(host: str, local: bool) -> None:
    assert is_local_host(host) is local


@pytest.mark.parametrize("bound_to", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_address_accepts_local_names_only(bound_to: str) -> None:
    assert get(bound_to, [(b"host", b"localhost:9090")])[0] == 200
    status, body = get(bound_to, [(b"host", b"evil.example")])
    assert (status, json.loads(body).keys()) == (403, {"error"})


@pytest.mark.parametrize("bound_to", ["0.0.0.0", "::", "10.0.0.7", "box.lan"])
def test_other_addresses_accept_any_name(bound_to: str) -> None:
    assert get(bound_to, [(b"host", b"sizeup-mirror:8090")])[0] == 200


@pytest.mark.parametrize("bound_to", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"evil.example")]])
def test_there_is_one_host(bound_to: str, headers: Headers) -> None:
    assert get(bound_to, headers)[0] == 400


def test_http_1_0_needs_no_host() -> None:
    assert get("127.0.0.1", [], "1.0")[0] == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [("box", 200), ("BOX.lan:80", 200), ("box.evil.example", 403), ("box2", 403)],
)
def test_names_of_this_machine_are_local(
    name: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    monkeypatch.setattr(socket, "getfqdn", lambda: "box.lan")
    assert get("127.0.0.1", [(b"host", name.encode())])[0] == status
