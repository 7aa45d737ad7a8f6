"""Whether this process can answer, and when it never will again.

Liveness asks nothing of the engine: a busy one is alive. A process whose engine hangs ends itself.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_inference.engine.protocol import EngineClient
from sizeup_telemetry.drain import Drain


@dataclass(frozen=True, slots=True)
class StallLimits:
    """How long an engine may run sequences without finishing a step."""

    stalled_seconds: float
    """From then on it is not ready: the engine hangs, or the machine does."""
    lost_seconds: float
    """Stalled for so long beyond that, it is not waited for any more."""


class StallDetector:
    """Notice an engine that has work and makes no steps. Pure: the clock is an argument."""

    def __init__(self, limits: StallLimits) -> None:
        """Know nothing."""
        self._limits = limits
        self._steps = -1
        self._since = 0.0

    def is_stalled(self, *, running: int, steps: int, now: float) -> bool:
        """Take a sample and judge; `now` in seconds."""
        return self._still(running, steps, now) > self._limits.stalled_seconds

    def is_lost(self, *, running: int, steps: int, now: float) -> bool:
        """Take a sample and judge whether the engine is to be given up."""
        limits = self._limits
        return self._still(running, steps, now) > limits.stalled_seconds + limits.lost_seconds

    def _still(self, running: int, steps: int, now: float) -> float:
        if not running or steps != self._steps:
            self._steps, self._since = steps, now
        return now - self._since


@dataclass(slots=True)
class Loading:
    """How far the model has come."""

    stage: str = "starting"
    progress: float = 0.0


class Health:
    """Everything readiness depends on; belongs to the event loop."""

    def __init__(self, drain: Drain, stall: StallLimits) -> None:
        """Begin loading."""
        self.loading = Loading()
        self._drain = drain
        self._engine: EngineClient | None = None
        self._failure: str | None = None
        self._stall = StallDetector(stall)

    def set_progress(self, stage: str, progress: float) -> None:
        """Say how far loading has come, 0 to 1."""
        self.loading = Loading(stage, min(max(progress, 0.0), 1.0))

    def set_running(self, engine: EngineClient) -> None:
        """Say that the model has generated a token."""
        self._engine = engine

    def set_failed(self, reason: str) -> None:
        """Say that the model cannot be loaded: the process is about to end."""
        self._failure = reason

    def is_lost(self, now: float) -> bool:
        """Tell whether the engine hangs for good; a process that drains ends by itself."""
        if self._engine is None or self._drain.draining:
            return False
        stats = self._engine.stats()
        return self._stall.is_lost(running=stats.running, steps=stats.steps, now=now)

    def state(self, now: float) -> dict[str, Any]:
        """Return what /readyz says; ready when `state` is `ready`."""
        if self._failure is not None:
            return {"state": "failed", "stage": self._failure, "progress": self.loading.progress}
        if self._drain.draining:
            return {"state": "draining"}
        if self._engine is None:
            loading = self.loading
            return {"state": "loading", "stage": loading.stage, "progress": loading.progress}
        if not self._engine.is_alive():
            return {"state": "dead"}
        stats = self._engine.stats()
        if self._stall.is_stalled(running=stats.running, steps=stats.steps, now=now):
            return {"state": "stalled"}
        return {"state": "ready"}


async def livez(_request: Request) -> Response:
    """Answer whenever the event loop turns."""
    return JSONResponse({"state": "alive"})


def readiness_response(state: dict[str, Any]) -> Response:
    """Put a state into HTTP."""
    return JSONResponse(state, 200 if state["state"] == "ready" else 503)
