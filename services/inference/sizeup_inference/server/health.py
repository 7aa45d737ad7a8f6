"""Liveness, readiness and stall detection.

Liveness does not depend on the engine: a busy process is alive. A process with a hung engine
terminates itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_inference.engine.protocol import EngineClient
from sizeup_telemetry.api_docs import direct_router, json_response
from sizeup_telemetry.drain import Drain
from sizeup_wire import routes as paths


@dataclass(frozen=True, slots=True)
class StallLimits:
    """How long an engine with running sequences may go without finishing a step."""

    stalled_seconds: float
    """After this it is not ready: the engine or the machine hangs."""
    lost_seconds: float
    """After this much longer it is lost: the process exits."""


class StallDetector:
    """Detects an engine that has work and makes no steps. Pure: the clock is an argument."""

    def __init__(self, limits: StallLimits) -> None:
        self._limits = limits
        self._steps = -1
        self._since = 0.0

    def is_stalled(self, *, running: int, steps: int, now: float) -> bool:
        """Add a sample; return whether the engine is stalled. `now` is in seconds."""
        return self._idle_seconds(running, steps, now) > self._limits.stalled_seconds

    def is_lost(self, *, running: int, steps: int, now: float) -> bool:
        """Add a sample; return whether the engine is lost. `now` is in seconds."""
        limits = self._limits
        return (
            self._idle_seconds(running, steps, now) > limits.stalled_seconds + limits.lost_seconds
        )

    def _idle_seconds(self, running: int, steps: int, now: float) -> float:
        if not running or steps != self._steps:
            self._steps, self._since = steps, now
        return now - self._since


@dataclass(frozen=True, slots=True)
class Loading:
    """Progress of loading the model, 0 to 1."""

    stage: str = "starting"
    progress: float = 0.0


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
    """The inputs of readiness; belongs to the event loop."""

    def __init__(self, drain: Drain, stall: StallLimits) -> None:
        self.loading = Loading()
        self._drain = drain
        self._engine: EngineClient | None = None
        self._failure: str | None = None
        self._stall = StallDetector(stall)

    def set_progress(self, stage: str, progress: float) -> None:
        """Set the progress of loading, 0 to 1."""
        self.loading = Loading(stage, min(max(progress, 0.0), 1.0))

    def set_running(self, engine: EngineClient) -> None:
        """Set the engine, which has generated its first token."""
        self._engine = engine

    def set_failed(self, reason: str) -> None:
        """Record that the model cannot be loaded; the process is about to end."""
        self._failure = reason

    def is_lost(self, now: float) -> bool:
        """Return whether the engine is lost; never while the process drains."""
        if self._engine is None or self._drain.draining:
            return False
        stats = self._engine.stats()
        return self._stall.is_lost(running=stats.running, steps=stats.steps, now=now)

    def readiness(self, now: float) -> Readiness:
        """Return the state at `now`, in seconds."""
        if self._failure is not None:
            return Readiness(state="failed", stage=self._failure, progress=self.loading.progress)
        if self._drain.draining:
            return Readiness(state="draining")
        if self._engine is None:
            loading = self.loading
            return Readiness(state="loading", stage=loading.stage, progress=loading.progress)
        if not self._engine.is_alive():
            return Readiness(state="dead")
        stats = self._engine.stats()
        if self._stall.is_stalled(running=stats.running, steps=stats.steps, now=now):
            return Readiness(state="stalled")
        return Readiness(state="ready")


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
