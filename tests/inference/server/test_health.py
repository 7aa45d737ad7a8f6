import pytest

from sizeup_inference.engine.protocol import EngineRequest, EngineStats
from sizeup_inference.server.health import Health, Readiness, StallDetector, StallLimits
from sizeup_telemetry.drain import Drain

STALLED, LOST = 60.0, 90.0
LIMITS = StallLimits(STALLED, LOST)


class FixedEngine:
    """Reports what a test sets."""

    def __init__(self) -> None:
        self.alive = True
        self.running = 0
        self.steps = 0

    def submit(self, request: EngineRequest) -> None:
        """Ignored."""

    def cancel(self, request_id: str) -> None:
        """Ignored."""

    def stats(self) -> EngineStats:
        return EngineStats(self.running, 0, 0, 0, self.steps, 0, 0, 0, 0, 0, 0, 0.0)

    def is_alive(self) -> bool:
        return self.alive

    def close(self, timeout_seconds: float) -> None:
        """Ignored."""


@pytest.fixture
def engine() -> FixedEngine:
    return FixedEngine()


def test_loading_reports_progress() -> None:
    health = Health(Drain(), LIMITS)
    assert health.readiness(0.0) == Readiness(state="loading", stage="starting", progress=0.0)
    health.set_progress("weights", 7.0)
    assert health.readiness(0.0) == Readiness(state="loading", stage="weights", progress=1.0)


def test_a_running_engine_is_ready_until_it_drains_or_dies(engine: FixedEngine) -> None:
    drain = Drain()
    health = Health(drain, LIMITS)
    health.set_running(engine)
    assert health.readiness(0.0) == Readiness(state="ready")
    engine.alive = False
    assert health.readiness(0.0) == Readiness(state="dead")
    drain.begin()
    assert health.readiness(0.0) == Readiness(state="draining")


def test_an_engine_with_work_and_no_steps_is_stalled(engine: FixedEngine) -> None:
    health = Health(Drain(), LIMITS)
    health.set_running(engine)
    engine.running = 1
    assert health.readiness(0.0) == Readiness(state="ready")
    assert health.readiness(STALLED) == Readiness(state="ready")
    assert health.readiness(STALLED + 1) == Readiness(state="stalled")
    engine.steps += 1
    assert health.readiness(STALLED + 2) == Readiness(state="ready")


def test_an_idle_engine_is_not_stalled() -> None:
    stall = StallDetector(LIMITS)
    assert not stall.is_stalled(running=0, steps=5, now=0.0)
    assert not stall.is_stalled(running=0, steps=5, now=10 * STALLED)
    assert not stall.is_stalled(running=1, steps=5, now=10 * STALLED + 1)


def test_an_engine_that_stays_stalled_is_lost(engine: FixedEngine) -> None:
    health = Health(Drain(), LIMITS)
    assert not health.is_lost(0.0)
    health.set_running(engine)
    engine.running = 1
    assert not health.is_lost(0.0)
    assert not health.is_lost(STALLED + LOST)
    assert health.is_lost(STALLED + LOST + 1)
    engine.steps += 1
    assert not health.is_lost(STALLED + LOST + 2)


def test_an_engine_without_work_or_in_a_drain_is_never_lost(engine: FixedEngine) -> None:
    drain = Drain()
    health = Health(drain, LIMITS)
    health.set_running(engine)
    assert not health.is_lost(0.0)
    assert not health.is_lost(10 * (STALLED + LOST))
    engine.running = 1
    drain.begin()
    assert not health.is_lost(20 * (STALLED + LOST))
