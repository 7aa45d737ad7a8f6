"""The gateway on a loopback port, as uvicorn serves it."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from prometheus_client import CollectorRegistry

from gateway.fake_inference import FakeInference
from sizeup_gateway.app import create_app, refused_requests
from sizeup_gateway.cluster.api import ScaleApi
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.protocol import limited_protocol
from sizeup_telemetry.serving import listening_socket
from sizeup_telemetry.tracing.spans import Tracing
from sizeup_wire.catalog import Catalog, CatalogEntry

MODEL = "qwen2.5:0.5b"
HUB_ID = "Qwen/Qwen2.5-0.5B-Instruct"
KEY = "qwen2.5-0.5b"

_TIMEOUT_SECONDS = 60.0


class Server(uvicorn.Server):
    """A server without signal handlers that stops at once.

    uvicorn's own shutdown polls twice at intervals of 100 ms; tests that run the gateway as a
    process cover it.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_TIMEOUT_SECONDS)
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()


@dataclass(slots=True)
class Gateway:
    url: str
    registry: CollectorRegistry
    drain: Drain
    http: aiohttp.ClientSession

    def sample(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"sizeup_gateway_{name}", labels)
        return value or 0.0

    async def post(
        self, path: str, body: object, **headers: str
    ) -> tuple[int, Mapping[str, str], str]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + path, data=data, headers=headers) as response:
            return response.status, response.headers, await response.text()

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path, headers=headers) as response:
            return response.status, json.loads(await response.text())


async def until(condition: Callable[[], bool], seconds: float = _TIMEOUT_SECONDS) -> None:
    """Poll a condition; TimeoutError when it stays false."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions have no event
            await asyncio.sleep(0.005)


def catalog(*replicas: str) -> Catalog:
    entry = CatalogEntry(id=HUB_ID, names=(MODEL, "qwen2.5:latest"), replicas=replicas)
    return Catalog(models={KEY: entry})


def settings(**changes: Any) -> Settings:
    fast = {
        "catalog": Path("unused.yaml"),
        "catalog_poll_seconds": 3600,
        "probe_interval_seconds": 0.05,
    }
    return Settings.model_validate(fast | changes)


@asynccontextmanager
async def running_gateway(
    *fakes: FakeInference,
    models: Catalog | None = None,
    cluster: ClusterClient | None = None,
    scales: ScaleApi | None = None,
    tracing: Tracing | None = None,
    wait: bool = True,
    **changes: Any,
) -> AsyncIterator[Gateway]:
    """Serve the replicas as one model; with `wait`, once all of them are ready."""
    registry, drain = CollectorRegistry(), Drain()
    known = models or catalog(*[fake.url for fake in fakes])
    app = create_app(settings(**changes), known, registry, drain, cluster, scales, tracing)
    protocol = limited_protocol(Limits(60.0, 10.0), refused_requests(app))
    config = uvicorn.Config(
        app, http=protocol, log_config=None, access_log=False, ws="none", proxy_headers=False
    )
    server = Server(config)
    listening = listening_socket("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        gateway = Gateway(url, registry, drain, http)
        try:
            await until(lambda: server.started)
            if wait:
                await until(lambda: gateway.sample("replicas_ready", model=KEY) == len(fakes))
            yield gateway
        finally:
            await http.close()
            server.stopping.set()
            await serving


@contextmanager
def background_gateway(fake: Callable[[], FakeInference], **changes: Any) -> Iterator[str]:
    """Run a gateway and one replica in a thread, for blocking clients."""
    url: list[str] = []
    up = threading.Event()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(partial(loop.call_soon_threadsafe, over.set))
        replica = fake()
        await replica.start()
        try:
            async with running_gateway(replica, **changes) as gateway:
                url.append(gateway.url)
                up.set()
                await over.wait()
        finally:
            await replica.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        if not up.wait(_TIMEOUT_SECONDS):
            raise TimeoutError("the gateway did not start")
        yield url[0]
    finally:
        stop[0]()
        thread.join()
