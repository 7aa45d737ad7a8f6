"""The Prometheus exposition as an ASGI application."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def metrics_route(registry: CollectorRegistry, path: str = "/metrics") -> Route:
    """Serve everything a registry holds."""

    def exposition(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Route(path, exposition, methods=["GET"])


def metrics_app(registry: CollectorRegistry) -> Starlette:
    """Make the application of the separate metrics port."""
    return Starlette(routes=[metrics_route(registry)])
