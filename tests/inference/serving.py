"""An inference process's application on a loopback port, over a fake engine."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn
from prometheus_client import CollectorRegistry

from sizeup_inference.app import Composition, create_app
from sizeup_inference.engine.protocol import Deliver
from sizeup_inference.fake.engine import FakeEngine, FakeLimits, Script, echo
from sizeup_inference.fake.model import ByteTokenizer, start_fake
from sizeup_inference.settings import Settings
from sizeup_inference.startup.loaded_model import Progress, RunningModel, StartEngine
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.serving import listening_socket
from sizeup_telemetry.tracing.spans import Tracing
from sizeup_wire import routes
from sizeup_wire.embeddings import EmbedEvent, embed_event_adapter
from sizeup_wire.events import Event, event_adapter

DEADLINE_SECONDS = 20.0


class Server(uvicorn.Server):
    """A server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class Process:
    url: str
    http: aiohttp.ClientSession
    registry: CollectorRegistry
    drain: Drain
    engines: list[FakeEngine]
    fatal: list[str] = field(default_factory=list)

    @property
    def engine(self) -> FakeEngine:
        return self.engines[0]

    def sample(self, name: str, **labels: str) -> float:
        labels = {"model": "fake"} | labels
        return self.registry.get_sample_value(f"sizeup_inference_{name}", labels) or 0.0

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as response:
            return response.status, json.loads(await response.text())

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + path, data=data) as response:
            return response.status, json.loads(await response.text())

    async def until_readyz(self, status: int, state: dict[str, Any]) -> None:
        """Poll the readiness probe for a response; TimeoutError without it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await self.get(routes.READYZ) != (status, state):  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    @contextlib.asynccontextmanager
    async def stream(self, **request: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self.http.post(self.url + routes.GENERATE, json=request) as response:
            assert response.status == 200, await response.text()
            yield response

    async def generate(self, **request: Any) -> list[Event]:
        async with self.stream(**request) as response:
            return [event_adapter.validate_json(line) async for line in response.content]

    async def embed(self, *texts: str, **request: Any) -> list[EmbedEvent]:
        """Embed texts; assert that the response begins."""
        body = {"prompts": [text_prompt(text) for text in texts]} | request
        async with self.http.post(self.url + routes.EMBEDDINGS, json=body) as response:
            assert response.status == 200, await response.text()
            return [embed_event_adapter.validate_json(line) async for line in response.content]


async def until(condition: Callable[[], bool]) -> None:
    """Poll a condition; TimeoutError when it stays false."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # conditions have no event
            await asyncio.sleep(0.002)


async def read_stream(process: Process) -> None:
    """Send a request and read its whole response."""
    async with process.stream(prompt=text_prompt("x")) as response:
        await response.content.read()


def text_prompt(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text}


def chat_prompt(*contents: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content} for content in contents]
    return {"kind": "chat", "messages": messages} | more


def fake_load(limits: FakeLimits, script: Script, engines: list[FakeEngine]) -> StartEngine:
    """Return a loader whose engine follows a script."""

    def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
        described = start_fake(settings, deliver, progress)
        described.engine.close(DEADLINE_SECONDS)
        engine = FakeEngine(deliver, limits, script)
        engines.append(engine)
        return RunningModel(engine, described.info, ByteTokenizer())

    return load


@contextlib.asynccontextmanager
async def served(
    composition: Composition,
    engines: list[FakeEngine],
    fatal: list[str],
    send_buffer: int | None = None,
) -> AsyncIterator[Process]:
    """Serve a composition; the engine may still be loading."""
    listening = listening_socket("127.0.0.1", 0)
    if send_buffer is not None:  # which accepted sockets inherit
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    config = uvicorn.Config(
        create_app(composition), http="httptools", log_config=None, ws="none", lifespan="on",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            yield Process(url, http, composition.registry, composition.drain, engines, fatal)
    finally:
        server.should_exit = True
        await serving
        listening.close()


@contextlib.asynccontextmanager
async def running(
    limits: FakeLimits | None = None,
    script: Script = echo,
    send_buffer: int | None = None,
    tracing: Tracing | None = None,
    **settings: Any,
) -> AsyncIterator[Process]:
    """Serve a fake model that is ready."""
    engines: list[FakeEngine] = []
    fatal: list[str] = []
    composition = Composition(
        settings=Settings.model_validate({"model": "fake", "engine": "fake"} | settings),
        drain=Drain(),
        registry=CollectorRegistry(),
        on_fatal=lambda: fatal.append("fatal"),
        load=fake_load(limits or FakeLimits(), script, engines),
        tracing=tracing,
    )
    async with served(composition, engines, fatal, send_buffer) as process:
        await process.until_readyz(200, {"state": "ready"})
        yield process
