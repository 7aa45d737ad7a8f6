"""Liveness, readiness and stall detection.

Liveness does not depend on the engine: a busy process is alive. A process with a hung engine
terminates itself.
"""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_inference.engine.protocol import EngineClient
from sizeup_telemetry.api_docs import direct_router, json_response
from sizeup_telemetry.drain import Drain
from sizeup_wire import routes as paths


class Liveness(BaseModel):
    """Result of the liveness probe."""

    state: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Result of the readiness probe; 200 for `ready`, 503 for everything else."""

    state: Literal[
        "ready", "loading", "downloading", "draining", "stalled", "dead", "failed", "starting"
    ]
    stage: str | None = None
    """What is loading or downloading, or why it failed."""
    progress: float | None = None
    """0 to 1."""


class Health:
    """The inputs of readiness; belongs to the event loop. Times are in seconds."""

    def __init__(self, drain: Drain, *, stalled_seconds: float, lost_seconds: float) -> None:
        """Set the limits of an engine with work that makes no steps, as in Settings."""
        self.stage, self.progress = "starting", 0.0
        """Of loading the model, 0 to 1."""
        self.engine: EngineClient | None = None
        """None until it has generated its first token."""
        self.failure: str | None = None
        """Why the model cannot be loaded; the process is about to end."""
        self._drain = drain
        self._stalled_seconds = stalled_seconds
        self._lost_seconds = lost_seconds
        self._steps = -1
        self._last_progress = 0.0

    def set_progress(self, stage: str, progress: float) -> None:
        """Set the progress of loading, 0 to 1."""
        self.stage, self.progress = stage, min(max(progress, 0.0), 1.0)

    def is_lost(self, now: float) -> bool:
        """Return whether the engine is lost; never while the process drains."""
        if self.engine is None or self._drain.draining:
            return False
        limit = self._stalled_seconds + self._lost_seconds
        return self._seconds_without_step(self.engine, now) > limit

    def readiness(self, now: float) -> Readiness:
        """Return the state at `now`."""
        if self.failure is not None:
            return Readiness(state="failed", stage=self.failure, progress=self.progress)
        if self._drain.draining:
            return Readiness(state="draining")
        if self.engine is None:
            return Readiness(state="loading", stage=self.stage, progress=self.progress)
        if not self.engine.is_alive():
            return Readiness(state="dead")
        if self._seconds_without_step(self.engine, now) > self._stalled_seconds:
            return Readiness(state="stalled")
        return Readiness(state="ready")

    def _seconds_without_step(self, engine: EngineClient, now: float) -> float:
        """Return for how long an engine with work has been seen to make no step."""
        stats = engine.stats()
        if not stats.running or stats.steps != self._steps:
            self._steps, self._last_progress = stats.steps, now
        return now - self._last_progress


def health_router(readiness: Callable[[], Readiness]) -> APIRouter:
    """Create /livez and /readyz."""
    router = direct_router("Health")

    @router.get(
        paths.LIVEZ, summary="Liveness probe", responses={200: json_response(Liveness, "Alive")}
    )
    async def livez(_request: Request) -> Response:
        return JSONResponse({"state": "alive"})

    @router.get(
        paths.READYZ,
        summary="Readiness probe",
        responses={
            200: json_response(Readiness, "Ready"),
            503: json_response(Readiness, "Loading, draining or failed"),
        },
    )
    async def readyz(_request: Request) -> Response:
        current = readiness()
        return JSONResponse(
            current.model_dump(exclude_none=True), 200 if current.state == "ready" else 503
        )

    return router
