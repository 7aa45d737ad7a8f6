"""Health of the gateway itself: whether models answer is their own readiness."""

from collections.abc import Callable
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sizeup_gateway.api.service import JsonResponse
from sizeup_gateway.models.catalog import Models
from sizeup_telemetry.drain import Drain

PATHS = frozenset({"/livez", "/readyz", "/health"})
"""Served without a key: kubelets have none."""


def health_routes(models: Models, drain: Drain, is_settled: Callable[[], bool]) -> list[Route]:
    """Make /livez, /readyz and /health.

    Ready is from when it has been seen which replicas answer, `is_settled`: earlier, requests
    would be refused that another gateway would serve.
    """
    release = version("sizeup-gateway")  # reads a file, which no request should wait for

    async def livez(_request: Request) -> Response:
        return JsonResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if drain.draining:
            return JsonResponse({"status": "draining"}, status_code=503)
        if not is_settled():
            return JsonResponse({"status": "starting"}, status_code=503)
        return JsonResponse({"status": "ok"})

    async def health(_request: Request) -> Response:
        ready = {key: model.pool.ready_count for key, model in models.by_key.items()}
        status = "draining" if drain.draining else "ok"
        return JsonResponse({"status": status, "version": release, "replicas_ready": ready})

    return [
        Route("/livez", livez, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
    ]
