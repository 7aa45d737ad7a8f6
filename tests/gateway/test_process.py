"""The gateway as a process: `python -m sizeup_gateway`."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

from gateway.fake_deployment import fake_deployment, placed
from gateway.fake_inference import FakeInference, fake_inference, finished, started
from gateway.harness import MODEL, catalog, until
from sizeup_gateway.__main__ import main
from sizeup_wire.catalog import Catalog
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
STALLED = 10


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def environment(**settings: object) -> dict[str, str]:
    ours = {f"SIZEUP_GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    return {k: v for k, v in os.environ.items() if not k.startswith("SIZEUP_")} | ours


@dataclass
class Process:
    url: str
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession


@asynccontextmanager
async def gateway_process(
    served: FakeInference | Catalog, folder: Path, **settings: object
) -> AsyncIterator[Process]:
    file, port = folder / "catalog.yaml", free_port()
    models = catalog(served.url) if isinstance(served, FakeInference) else served
    file.write_text(yaml.safe_dump(models.model_dump(mode="json")), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sizeup_gateway",
        env=environment(catalog=file, port=port, **settings),
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with aiohttp.ClientSession() as http:
        try:
            running = Process(f"http://127.0.0.1:{port}", process, http)
            async with asyncio.timeout(60):
                while not await serves_a_model(running):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def takes_connections(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


async def serves_a_model(running: Process) -> bool:
    try:
        async with running.http.get(running.url + "/api/ps") as response:
            return bool((await response.json())["models"])
    except aiohttp.ClientError:
        return False


def test_a_running_request_completes_after_sigterm(tmp_path: Path) -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="one")
            await go.wait()
            yield Text(text="two")
            yield finished(2)

        async with fake_inference(script) as fake, gateway_process(fake, tmp_path) as gateway:
            async with gateway.http.post(gateway.url + "/api/chat", json=CHAT) as response:
                assert b"one" in await response.content.readline()
                gateway.process.terminate()
                await until(lambda: not takes_connections(gateway.url))
                go.set()
                assert b"two" in await response.content.readline()
                assert json.loads(await response.content.readline())["done"] is True
            assert await gateway.process.wait() == 0

    asyncio.run(scenario())


def test_at_the_drain_deadline_a_stream_ends_with_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="one")
            await asyncio.Event().wait()

        async with (
            fake_inference(script) as fake,
            gateway_process(fake, tmp_path, drain_seconds=0.2) as gateway,
        ):
            async with gateway.http.post(gateway.url + "/api/chat", json=CHAT) as response:
                assert b"one" in await response.content.readline()
                gateway.process.terminate()
                rest = await response.read()
            assert json.loads(rest) == {"error": "the server is shutting down"}
            assert await gateway.process.wait() == 0
            await until(lambda: fake.live == 0)

    asyncio.run(scenario())


def test_at_the_drain_deadline_an_incomplete_body_is_rejected(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            gateway_process(fake, tmp_path, drain_seconds=0.2) as gateway,
        ):
            host, port = gateway.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"POST /api/chat HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n"
            writer.write(head.encode() + b"Content-Length: 100\r\n\r\n{")
            assert b"100" in await reader.readuntil(b"\r\n\r\n")
            gateway.process.terminate()
            received = await reader.read()
            writer.close()
            assert received.startswith(b"HTTP/1.1 503")
            assert b'{"error":"the server is shutting down"}' in received
            assert await gateway.process.wait() == 0

    asyncio.run(scenario())


def test_clients_that_stop_reading_are_disconnected(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def flood(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            while True:
                yield Text(text="x" * 4096)

        async with (
            fake_inference(flood) as fake,
            gateway_process(fake, tmp_path, write_timeout_seconds=0.3) as gateway,
        ):
            host, port = gateway.url.removeprefix("http://").split(":")
            stalled = contextlib.ExitStack()
            for _ in range(STALLED):
                reader = stalled.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.connect((host, int(port)))
                body = json.dumps(CHAT).encode()
                head = f"POST /api/chat HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
                reader.sendall(head.encode() + b"\r\n\r\n" + body)
            with stalled:
                await until(lambda: fake.cancelled == STALLED, seconds=60)
                assert fake.live == 0
                async with gateway.http.get(gateway.url + "/livez") as response:
                    assert response.status == 200

    asyncio.run(scenario())


def test_http_1_0_and_idle_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            gateway_process(fake, tmp_path, idle_connection_seconds=1) as gateway,
        ):
            host, port = gateway.url.removeprefix("http://").split(":")
            body = json.dumps(CHAT).encode()
            for path, end in (("/api/chat", b"}\n"), ("/v1/chat/completions", b"[DONE]\n\n")):
                reader, writer = await asyncio.open_connection(host, int(port))
                head = f"POST {path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                received, _, stream = (await reader.read()).partition(b"\r\n\r\n")
                assert b"transfer-encoding" not in received
                assert stream[:1] in b"{d"
                assert stream.endswith(end)
                writer.close()
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.read()).endswith(b"}")  # until it is closed
            writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content", "settings", "reason"),
    [
        (None, {}, "No such file"),
        ("models: [", {}, "while parsing"),
        ("models: {a: {id: x}}", {}, "names"),
        ("models: {a: {id: x, names: [n]}, b: {id: y, names: [N]}}", {}, "models 'a' and 'b'"),
        ("models: {}", {"port": "many"}, "port"),
        ("models: {}", {"api_keys_file": "/nonexistent"}, "No such file"),
        ("models: {}", {"discovery": "dns"}, "static"),
        ("models: {}", {"origins": "chat.example"}, "chat.example"),
        ("models: {}", {"discovery": "kubernetes"}, "cannot connect to the Kubernetes API"),
        (
            "models: {}",
            {"discovery": "kubernetes", "kubeconfig_file": "/nonexistent"},
            "cannot connect to the Kubernetes API",
        ),
        (
            "models: {a: {id: x, names: [n], service: s}}",
            {},
            "SIZEUP_GATEWAY_DISCOVERY=kubernetes",
        ),
    ],
)
def test_an_invalid_configuration_ends_with_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    settings: dict[str, str],
    reason: str,
) -> None:
    file = tmp_path / "catalog.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    for name, value in environment(catalog=file, **settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sizeup_gateway.__main__.configure_logging", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value.code).startswith("sizeup-gateway: ")
    assert reason in str(ended.value.code)


def test_the_kubernetes_client_is_not_imported_without_a_cluster() -> None:
    code = "import sys, sizeup_gateway.__main__; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_the_process_discovers_replicas_in_a_cluster(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fake_deployment() as deployment:
            found = {
                "discovery": "kubernetes",
                "kubeconfig_file": deployment.cluster.kubeconfig(tmp_path),
            }
            await deployment.add_pod()
            async with gateway_process(placed(scales=False), tmp_path, **found) as gateway:
                async with gateway.http.post(gateway.url + "/api/chat", json=CHAT) as response:
                    assert (response.status, b'"done":true' in await response.read()) == (200, True)
                gateway.process.terminate()
                assert await gateway.process.wait() == 0

    asyncio.run(scenario())


def test_a_port_in_use_is_reported_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("models: {}", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [sys.executable, "-m", "sizeup_gateway"],
            env=environment(catalog=file, port=taken.getsockname()[1]),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr
