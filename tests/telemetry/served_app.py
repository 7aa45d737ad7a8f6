"""A process that serves one application through `serve`, for tests of its shutdown."""

import asyncio
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.metrics import metrics_app
from sizeup_telemetry.serving import Listen, serve


def main(port: int, metrics_port: int, drain_seconds: float, marks: Path) -> None:
    drain = Drain()
    registry = CollectorRegistry()
    Counter("test_total", "Anything", registry=registry).inc()

    async def slow(_request: Request) -> Response:
        over = asyncio.Event()
        with drain.guard(over.set):
            (marks / "waiting").touch()
            await over.wait()
        return PlainTextResponse("cut" if drain.expired else "whole")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse(str(drain.draining))

    async def peer(request: Request) -> Response:
        return PlainTextResponse(request.client.host if request.client else "unknown")

    app = Starlette(routes=[Route("/slow", slow), Route("/ready", ready), Route("/peer", peer)])
    configure_logging("info")
    listen = Listen("127.0.0.1", port, metrics_port, drain_seconds, header_seconds=0.3)
    asyncio.run(serve(app, metrics_app(registry, "127.0.0.1"), listen, drain))
    (marks / "after").touch()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
