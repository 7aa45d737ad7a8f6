import pytest

from sizeup_inference.engine.protocol import EngineRequest, EngineStats
from sizeup_inference.server.health import Health, Readiness
from sizeup_telemetry.drain import Drain

STALLED, LOST = 60.0, 90.0


def make_health(drain: Drain | None = None) -> Health:
    return Health(drain or Drain(), stalled_seconds=STALLED, lost_seconds=LOST)


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
    health = make_health()
    assert health.readiness(0.0) == Readiness(state="loading", stage="starting", progress=0.0)
    health.set_progress("weights", 7.0)
    assert health.readiness(0.0) == Readiness(state="loading", stage="weights", progress=1.0)


def test_a_running_engine_is_ready_until_it_drains_or_dies(engine: FixedEngine) -> None:
    drain = Drain()
    health = make_health(drain)
    health.engine = engine
    assert health.readiness(0.0) == Readiness(state="ready")
    engine.alive = False
    assert health.readiness(0.0) == Readiness(state="dead")
    drain.begin()
    assert health.readiness(0.0) == Readiness(state="draining")


def test_an_engine_with_work_and_no_steps_is_stalled(engine: FixedEngine) -> None:
    health = make_health()
    health.engine = engine
    engine.running = 1
    assert health.readiness(0.0) == Readiness(state="ready")
    assert health.readiness(STALLED) == Readiness(state="ready")
    assert health.readiness(STALLED + 1) == Readiness(state="stalled")
    engine.steps += 1
    assert health.readiness(STALLED + 2) == Readiness(state="ready")


def test_an_idle_engine_is_not_stalled(engine: FixedEngine) -> None:
    health = make_health()
    health.engine = engine
    for running, now in ((0, 0.0), (0, 10 * STALLED), (1, 10 * STALLED + 1)):
        engine.running = running
        assert health.readiness(now) == Readiness(state="ready")


def test_an_engine_that_stays_stalled_is_lost(engine: FixedEngine) -> None:
    health = make_health()
    assert not health.is_lost(0.0)
    health.engine = engine
    engine.running = 1
    assert not health.is_lost(0.0)
    assert not health.is_lost(STALLED + LOST)
    assert health.is_lost(STALLED + LOST + 1)
    engine.steps += 1
    assert not health.is_lost(STALLED + LOST + 2)


def test_an_engine_without_work_or_in_a_drain_is_never_lost(engine: FixedEngine) -> None:
    drain = Drain()
    health = make_health(drain)
    health.engine = engine
    assert not health.is_lost(0.0)
    assert not health.is_lost(10 * (STALLED + LOST))
    engine.running = 1
    drain.begin()
    assert not health.is_lost(20 * (STALLED + LOST))
