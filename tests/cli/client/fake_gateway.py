"""A gateway on a real socket with predefined responses, which records the requests."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

STATISTICS = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 2_000_000_000,
    "load_duration": 0,
    "prompt_eval_count": 12,
    "prompt_eval_duration": 1_000_000,
    "eval_count": 5,
    "eval_duration": 500_000_000,
}


@dataclass
class FakeGateway:
    """Serves /api/chat with these chunks of text, and /api/tags with these names."""

    chunks: list[str] = field(default_factory=lambda: ["4", "2"])
    names: list[str] = field(default_factory=list)
    status: int = 200
    error: str = ""
    raw: bytes | None = None
    """Sent instead of the response."""
    truncated: bool = False
    """Omit the last line of a stream."""
    hold: threading.Event | None = None
    """Wait for this after the first chunk of a stream."""
    first_sent: threading.Event = field(default_factory=threading.Event)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.authorizations.append(request.headers.get("Authorization"))
        if self.raw is not None:
            return web.Response(body=self.raw)
        if self.error:
            return web.json_response({"error": self.error}, status=self.status)
        head = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
        if not body["stream"]:
            message = {"role": "assistant", "content": "".join(self.chunks)}
            return web.json_response({**head, "message": message, **STATISTICS})
        return await self._stream(request, head)

    async def _stream(self, request: web.Request, head: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for text in self.chunks:
            line = {**head, "message": {"role": "assistant", "content": text}, "done": False}
            await response.write(json.dumps(line).encode() + b"\n")
            self.first_sent.set()
            if self.hold:
                await asyncio.to_thread(self.hold.wait, 30)
        if not self.truncated:
            last = {**head, "message": {"role": "assistant", "content": ""}, **STATISTICS}
            await response.write(json.dumps(last).encode() + b"\n")
        return response

    async def tags(self, _request: web.Request) -> web.Response:
        return web.json_response({"models": [{"name": name} for name in self.names]})


@contextmanager
def running_gateway() -> Iterator[FakeGateway]:
    """Serve in a thread during the block."""
    gateway = FakeGateway()
    app = web.Application()
    app.router.add_post("/api/chat", gateway.chat)
    app.router.add_get("/api/tags", gateway.tags)
    with serving(app) as url:
        gateway.url = url
        try:
            yield gateway
        finally:
            if gateway.hold:
                gateway.hold.set()


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """Serve an application in a thread during the block; yield its URL."""
    urls: list[str] = []
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            started.set()
            await asyncio.to_thread(stop.wait)
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(10), "the server did not start"
        yield urls[0]
    finally:
        stop.set()
        thread.join(20)
