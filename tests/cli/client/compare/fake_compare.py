"""A gateway on a real socket that streams the lines of a script, and records the requests."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from cli.client.compare.script import SIZES, Line, answered
from cli.client.fake_gateway import serving


class Hold:
    """Where the stream waits for the test."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released: Future[None] = Future()

    def release(self) -> None:
        if not self._released.done():
            self._released.set_result(None)

    async def wait(self) -> None:
        self.reached.set()
        await asyncio.wrap_future(self._released)


@dataclass
class CompareGateway:
    """Serves /api/compare and /api/sizes."""

    script: Sequence[Line | bytes | Hold] = field(default_factory=answered)
    sizes: list[str] = field(default_factory=lambda: list(SIZES))
    response: dict[str, Any] = field(default_factory=dict)
    """Sent without streaming."""
    status: int = 200
    error: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    """The client closed the connection."""
    url: str = ""

    async def compare(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if self.error:
            return web.json_response({"error": self.error}, status=self.status)
        if not body["stream"]:
            return web.json_response(self.response)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            for step in self.script:
                await self._send(response, step)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.set()
            raise
        return response

    async def _send(self, response: web.StreamResponse, step: Line | bytes | Hold) -> None:
        if isinstance(step, Hold):
            await step.wait()
        else:
            line = step if isinstance(step, bytes) else json.dumps(step).encode() + b"\n"
            await response.write(line)

    async def list_sizes(self, _request: web.Request) -> web.Response:
        return web.json_response({"models": [{"model": name} for name in self.sizes]})


@contextmanager
def running_compare() -> Iterator[CompareGateway]:
    """Serve in a thread during the block."""
    gateway = CompareGateway()
    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_post("/api/compare", gateway.compare)
    app.router.add_get("/api/sizes", gateway.list_sizes)
    with serving(app) as url:
        gateway.url = url
        try:
            yield gateway
        finally:
            for step in gateway.script:
                if isinstance(step, Hold):
                    step.release()
