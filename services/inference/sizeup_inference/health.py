"""Whether this process can answer. Liveness asks nothing of the engine: a busy one is alive."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sizeup_inference.engine import Engine
from sizeup_telemetry.drain import Drain

STALL_SECONDS = 60.0
"""Running sequences and no finished step for so long: the engine hangs. The slowest step in use,
512 tokens of a 72B model on a CPU's memory, takes about half of it."""


class StallDetector:
    """Notice an engine that has work and makes no steps. Pure: the clock is an argument."""

    def __init__(self) -> None:
        """Know nothing."""
        self._steps = -1
        self._since = 0.0

    def is_stalled(self, *, running: int, steps: int, now: float) -> bool:
        """Take a sample and judge; `now` in seconds."""
        if not running or steps != self._steps:
            self._steps, self._since = steps, now
        return now - self._since > STALL_SECONDS


@dataclass(slots=True)
class Loading:
    """How far the model has come."""

    stage: str = "starting"
    progress: float = 0.0


class Health:
    """Everything readiness depends on; belongs to the event loop."""

    def __init__(self, drain: Drain) -> None:
        """Begin loading."""
        self.loading = Loading()
        self._drain = drain
        self._engine: Engine | None = None
        self._failure: str | None = None
        self._stall = StallDetector()

    def set_progress(self, stage: str, progress: float) -> None:
        """Say how far loading has come, 0 to 1."""
        self.loading = Loading(stage, min(max(progress, 0.0), 1.0))

    def set_running(self, engine: Engine) -> None:
        """Say that the model has generated a token."""
        self._engine = engine

    def set_failed(self, reason: str) -> None:
        """Say that the model cannot be loaded: the process is about to end."""
        self._failure = reason

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
