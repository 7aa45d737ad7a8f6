"""The Prometheus exposition, as a route of an application and as one of its own."""

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.routing import Route

from sizeup_telemetry.api_docs import direct_router

_EXPOSITION = {"content": {"text/plain": {"schema": {"type": "string"}}}}


def metrics_route(registry: CollectorRegistry, path: str = "/metrics") -> Route:
    """Serve everything a registry holds, in an application that is not FastAPI's."""

    def exposition(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Route(path, exposition, methods=["GET"])


def metrics_router(registry: CollectorRegistry, path: str = "/metrics") -> APIRouter:
    """Serve everything a registry holds."""
    router = direct_router("Metrics")

    @router.get(path, summary="Prometheus metrics", responses={200: _EXPOSITION})
    async def exposition(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def metrics_app(registry: CollectorRegistry) -> FastAPI:
    """Make the application of the separate metrics port."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(metrics_router(registry))
    return app
