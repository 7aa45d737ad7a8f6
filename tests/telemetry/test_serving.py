"""The serving loop as a process."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from sizeup_telemetry.serving import listening_socket

PROGRAM = Path(__file__).with_name("served_app.py")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.01)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class Process:
    url: str
    metrics_url: str
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    async def text(self, url: str) -> str:
        async with self.http.get(url) as response:
            return await response.text()


@asynccontextmanager
async def served(marks: Path, drain_seconds: float) -> AsyncIterator[Process]:
    port, metrics_port = free_port(), free_port()
    arguments = [str(a) for a in (PROGRAM, port, metrics_port, drain_seconds, marks)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    async with aiohttp.ClientSession() as http:
        try:
            await until(lambda: answers(port) and answers(metrics_port))
            yield Process(
                f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}", process, http
            )
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def test_metrics_are_served_on_a_separate_port(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 5) as running:
            assert "test_total 1.0" in await running.text(running.metrics_url + "/metrics")
            assert await running.text(running.url + "/ready") == "False"

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_process_with_code_0_after_cleanup(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 5) as running:
            running.process.send_signal(number)
            async with asyncio.timeout(10):
                assert await running.process.wait() == 0
        assert (tmp_path / "after").exists()

    asyncio.run(scenario())


def test_slow_headers_time_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 5) as running:
            host, port = running.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /ready HTTP/1.1\r\nHost: h\r\n\r\nGET /ready HTTP/1.1\r\nHost:")
            async with asyncio.timeout(10):
                assert b"200 OK" in await reader.readuntil(b"False")
                assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            writer.close()
            assert await running.text(running.url + "/ready") == "False"

    asyncio.run(scenario())


def test_the_drain_deadline_fails_running_requests(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 0.3) as running:
            asking = asyncio.create_task(running.text(running.url + "/slow"))
            await until((tmp_path / "waiting").exists)
            running.process.terminate()
            assert await asking == "cut"
            async with asyncio.timeout(10):
                assert await running.process.wait() == 0

    asyncio.run(scenario())


def test_a_port_in_use_is_an_error() -> None:
    taken = listening_socket("127.0.0.1", 0)
    taken.listen()
    with taken, pytest.raises(OSError, match="already in use"):
        listening_socket("127.0.0.1", taken.getsockname()[1])


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")
def test_every_address_is_one_of_either_family() -> None:
    with listening_socket("::", 0) as listening:
        listening.listen()
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, listening.getsockname()[1]), timeout=5):
                listening.accept()[0].close()


def test_accepted_connections_use_tcp_nodelay() -> None:
    """asyncio sets TCP_NODELAY on sockets whose protocol is named, and on no others."""

    async def scenario() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listening_socket("127.0.0.1", 0)
        async with await asyncio.start_server(accept, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            nodelay = await accepted
            writer.close()
            return nodelay

    assert asyncio.run(scenario()) != 0


def test_the_peer_is_the_one_of_the_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, drain_seconds=1) as process:
            forged = {"X-Forwarded-For": "10.0.0.1"}
            async with process.http.get(process.url + "/peer", headers=forged) as response:
                assert await response.text() == "127.0.0.1"

    asyncio.run(scenario())
