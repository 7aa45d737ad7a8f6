"""Hold an engine's steps back or let them fail, and look at what is left afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from inference.engine.engines import DEADLINE_SECONDS, Harness, request
from sizeup_inference.engine.model_runner import StepOutput
from sizeup_inference.engine.scheduler import Step


class Gate:
    """Stands between the loop and its runner."""

    def __init__(self, harness: Harness) -> None:
        self.failures = 0
        """Steps that are still to fail, of those that arrive from here on."""
        self._harness = harness
        self._run = harness.engine._runner.run
        self._changed = threading.Condition()
        self._is_open, self._is_held = True, False
        harness.engine._runner.run = self  # type: ignore[method-assign]

    def __call__(self, step: Step) -> StepOutput:
        fails = self.failures > 0
        with self._changed:
            self._is_held = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_open, DEADLINE_SECONDS)
            self._is_held = False
        if fails:
            self.failures -= 1
            raise RuntimeError("the device is on fire")
        return self._run(step)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Hold the next step back until the end of the block."""
        with self._changed:
            self._is_open = False
        try:
            yield
        finally:
            with self._changed:
                self._is_open = True
                self._changed.notify_all()

    @contextmanager
    def inside_a_step(self) -> Iterator[None]:
        """Hold a step of nobody else's: what is submitted in the block shares the next one."""
        with self.closed():
            self._harness.engine.submit(request("plug", [1], 1))
            self.wait_held()
            yield

    def wait_held(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_held, DEADLINE_SECONDS)


def assert_settled(harness: Harness) -> None:
    """Nothing of any request is left."""
    engine, stats = harness.engine, harness.engine.stats()
    assert (stats.running, stats.waiting, stats.pages_used) == (0, 0, 0)
    assert (engine._unfinished, engine._admitted, engine._hidden_sums) == ({}, set(), {})
