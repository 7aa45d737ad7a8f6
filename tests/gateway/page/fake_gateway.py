"""A gateway whose sizes and answers a test writes: it serves the real page."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.harness import Server
from sizeup_gateway.page.routes import page_router
from sizeup_telemetry.api_docs import create_app, direct_router
from sizeup_telemetry.serving import listening_socket

Json = dict[str, Any]

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Gate:
    """The stream waits here until the test opens the gate."""

    name: str


@dataclass(frozen=True, slots=True)
class Pause:
    """The stream waits, at the pace of a model."""

    seconds: float


Script = Callable[[Json], Iterable[Json | Gate | Pause]]


def size(
    model: str,
    parameters: float,
    state: str = "ready",
    progress: float | None = None,
    measured: tuple[float, float] | None = None,
) -> Json:
    """Return an entry of /api/sizes; `measured` is tokens per second and ability."""
    figures = measured and {
        "tokens_per_second": measured[0],
        "ttft_seconds": 0.08,
        "max_load": 16,
        "ability": measured[1],
        "ability_low": measured[1] - 0.05,
        "ability_high": measured[1] + 0.05,
        "per_million_tokens": 1.9,
        "at": "2026-11-30T06:00:00Z",
    }
    return {
        "model": model,
        "family": model.partition(":")[0],
        "parameters": int(parameters),
        "state": state,
        "progress": progress,
        "context_length": 32768,
        "capabilities": ["completion"],
        "price": None,
        "measured": figures,
    }


TOYS = (
    size("toy:0.5m", 554_624, measured=(849, 0.56)),
    size("toy:2m", 2_160_576, measured=(421, 0.66)),
    size("toy:5m", 5_021_952, measured=(241, 0.87)),
)


def header(body: Json, **changes: Any) -> Json:
    models = [{"model": model, "parameters": 1, "state": "ready"} for model in body["models"]]
    compare = {
        "id": "cmp-1",
        "models": models,
        "samples": body.get("samples", 1),
        "seed": body.get("options", {}).get("seed", 123),
        "one_at_a_time": body.get("one_at_a_time", False),
    }
    return {"created_at": "", "done": False, "compare": compare | changes}


def status(model: str, value: str, sample: int = 0, **fields: Any) -> Json:
    return {"model": model, "sample": sample, "status": value, "done": False, **fields}


def text(model: str, content: str, tokens: int = 1, sample: int = 0) -> Json:
    message = {"role": "assistant", "content": content}
    return {"model": model, "sample": sample, "message": message, "tokens": tokens, "done": False}


def finish(
    model: str,
    whole: str,
    *,
    reason: str = "stop",
    total: float = 1.0,
    sample: int = 0,
    **more: Any,
) -> Json:
    """Return the last object of an answer; `more` are figures."""
    tokens = max(1, len(whole) // 4)
    figures = {
        "queue_seconds": 0.05 * total,
        "load_seconds": 0.0,
        "ttft_seconds": 0.2 * total,
        "prefill_seconds": 0.15 * total,
        "decode_seconds": 0.8 * total,
        "total_seconds": total,
        "prompt_tokens": 12,
        "cached_tokens": 0,
        "tokens": tokens,
        "tokens_per_second": tokens / (0.8 * total),
        "at_once": 2,
        "cost": None,
    }
    return {
        "model": model,
        "sample": sample,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": reason,
        "text": whole,
        "figures": figures | more,
    }


def failure(model: str, message: str, code: str = "not_ready", sample: int = 0) -> Json:
    problem = {"code": code, "message": message}
    return {
        "model": model,
        "sample": sample,
        "done": True,
        "done_reason": "error",
        "failure": problem,
        "text": "",
    }


def summary(same: Sequence[str] = (), **changes: Any) -> Json:
    """Return the last line; `same` are the sizes that agree, the largest last."""
    agreement = {"largest": same[-1], "same": list(same), "smallest": same[0]} if same else None
    counts = {"answered": len(same), "failed": 0, "cancelled": 0, "seconds": 1.0}
    compare = {"id": "cmp-1", **counts, "agreement": agreement}
    return {"created_at": "", "done": True, "compare": compare | changes}


def answer_all(*answers: str, same: Sequence[str] = ()) -> Script:
    """Answer each size with the text at its place, the last one for the sizes beyond."""

    def script(body: Json) -> Iterator[Json]:
        models: list[str] = body["models"]
        yield header(body)
        for place, model in enumerate(models):
            whole = answers[min(place, len(answers) - 1)]
            yield status(model, "generating", prompt_tokens=12)
            yield text(model, whole)
            yield finish(model, whole, total=0.5 * 2**place)
        yield summary(same or models)

    return script


@dataclass
class FakeGateway:
    """What it serves, and what it has seen."""

    sizes: list[Json] = field(default_factory=lambda: list(TOYS))
    script: Script = field(default_factory=lambda: answer_all("432"))
    key: str | None = None
    knows_stop: bool = True
    prefix: str = ""
    """The path below which a proxy serves it."""
    url: str = ""
    asked: list[Json] = field(default_factory=list)
    stopped: list[Json] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when a client has left before the end of a stream."""
    _gates: dict[str, asyncio.Event] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = None

    def open(self, gate: str) -> None:
        """Let the stream pass the gate; callable from any thread."""
        if self._loop is None:
            raise RuntimeError("the gateway does not run")
        self._loop.call_soon_threadsafe(self._gate(gate).set)

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def router(self) -> APIRouter:
        router = direct_router("fake")
        router.get("/api/sizes")(self._sizes)
        router.post("/api/compare")(self._compare)
        router.post("/api/compare/stop")(self._stop)
        router.get("/")(self._heartbeat)
        return router

    async def _heartbeat(self, _request: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    def _rejected(self, request: Request) -> Response | None:
        if self.key is None or request.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return JSONResponse({"error": "a valid API key is required"}, 401)

    async def _sizes(self, request: Request) -> Response:
        return self._rejected(request) or JSONResponse({"models": self.sizes})

    async def _compare(self, request: Request) -> Response:
        rejected = self._rejected(request)
        if rejected is not None:
            return rejected
        body: Json = await request.json()
        self.asked.append(body)
        return StreamingResponse(self._lines(body), media_type="application/x-ndjson")

    async def _lines(self, body: Json) -> AsyncIterator[bytes]:
        ended = False
        try:
            for step in self.script(body):
                if isinstance(step, Gate):
                    await self._gate(step.name).wait()
                elif isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    yield json.dumps(step).encode() + b"\n"
            ended = True
        finally:
            if not ended:
                self.closed.set()

    async def _stop(self, request: Request) -> Response:
        body: Json = await request.json()
        self.stopped.append(body)
        self._gate(f"stop {body['model']}").set()
        if self.knows_stop:
            return JSONResponse({"stopped": 1})
        return JSONResponse({"error": "no such compare"}, 404)

    def _below_prefix(self, app: ASGIApp) -> ASGIApp:
        """Serve an application as a proxy that removes the beginning of the path."""

        async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = {**scope, "path": scope["path"].removeprefix(self.prefix)}
            await app(scope, receive, send)

        return proxied

    async def serve(self, is_up: threading.Event, stop: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        app = self._below_prefix(create_app(page_router(), self.router()))
        config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, ws="none")
        server = Server(config)
        listening = listening_socket("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        is_up.set()
        await stop.wait()
        for gate in self._gates.values():
            gate.set()
        server.stopping.set()
        await serving


@contextlib.contextmanager
def running(fake: FakeGateway) -> Iterator[FakeGateway]:
    """Serve in a thread of its own: the browser's client blocks."""
    is_up = threading.Event()
    stops: list[Callable[[], object]] = []

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        await fake.serve(is_up, stop)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        if not is_up.wait(_TIMEOUT_SECONDS):
            raise TimeoutError("the fake gateway did not start")
        yield fake
    finally:
        stops[0]()
        thread.join()
