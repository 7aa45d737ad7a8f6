"""The Prometheus exposition, as a route of an application and as a separate application."""

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.middleware import Middleware

from sizeup_telemetry.api_docs import create_app, direct_router
from sizeup_telemetry.hosts import HostMiddleware

_EXPOSITION = {"content": {"text/plain": {"schema": {"type": "string"}}}}


def metrics_router(registry: CollectorRegistry, own_port: int | None = None) -> APIRouter:
    """Create /metrics, or no route where the metrics have a port of their own."""
    router = direct_router("Metrics")
    if own_port is not None:
        return router

    @router.get("/metrics", summary="Prometheus metrics", responses={200: _EXPOSITION})
    async def exposition(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def metrics_app(registry: CollectorRegistry, bound_to: str) -> FastAPI:
    """Make the application of the separate metrics port, on the address that it is bound to."""
    hosts = Middleware(HostMiddleware, bound_to=bound_to)
    return create_app(metrics_router(registry), middleware=[hosts])
