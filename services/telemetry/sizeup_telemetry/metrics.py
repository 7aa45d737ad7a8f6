"""The Prometheus exposition, as a route of an application and as a separate application."""

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sizeup_telemetry.api_docs import create_app, direct_router

_EXPOSITION = {"content": {"text/plain": {"schema": {"type": "string"}}}}


def metrics_router(registry: CollectorRegistry) -> APIRouter:
    router = direct_router("Metrics")

    @router.get("/metrics", summary="Prometheus metrics", responses={200: _EXPOSITION})
    async def exposition(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def metrics_app(registry: CollectorRegistry) -> FastAPI:
    """Make the application of the separate metrics port."""
    return create_app(metrics_router(registry))
