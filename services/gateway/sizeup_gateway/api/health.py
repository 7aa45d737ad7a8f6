"""Health of the gateway process, independent of the readiness of its models."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.documentation import NO_API_KEY, ResponseBody
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.responses.framing import JsonResponse
from sizeup_telemetry.api_docs import direct_router, json_response
from sizeup_telemetry.drain import Drain


class StatusResponse(ResponseBody):
    """Result of a probe."""

    status: Literal["ok", "starting", "draining"]


class HealthResponse(StatusResponse):
    """Health of the gateway and of its models."""

    version: str
    replicas_ready: dict[str, int]
    """Ready replicas of each model, by its key in the catalog."""


_OK = json_response(StatusResponse, "Ready")
_UNAVAILABLE = json_response(StatusResponse, "Starting or draining")


def health_router(models: Models, drain: Drain, has_synced: Callable[[], bool]) -> APIRouter:
    """Create /livez, /readyz and /health.

    Not ready before every replica has been probed: until then the gateway would reject requests
    that another one could serve.
    """
    release = version("sizeup-gateway")  # reads a file: once, not on every request
    router = direct_router("Health")

    @router.get("/livez", summary="Liveness probe", responses={200: _OK}, openapi_extra=NO_API_KEY)
    async def livez(_request: Request) -> Response:
        return JsonResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Readiness probe",
        responses={200: _OK, 503: _UNAVAILABLE},
        openapi_extra=NO_API_KEY,
    )
    async def readyz(_request: Request) -> Response:
        if drain.draining:
            return JsonResponse({"status": "draining"}, status_code=503)
        if not has_synced():
            return JsonResponse({"status": "starting"}, status_code=503)
        return JsonResponse({"status": "ok"})

    @router.get(
        "/health",
        summary="Version and ready replicas",
        responses={200: json_response(HealthResponse, "Health of the gateway and its models")},
        openapi_extra=NO_API_KEY,
    )
    async def health(_request: Request) -> Response:
        ready = {key: model.pool.ready_count for key, model in models.by_key.items()}
        status = "draining" if drain.draining else "ok"
        return JsonResponse({"status": status, "version": release, "replicas_ready": ready})

    return router
