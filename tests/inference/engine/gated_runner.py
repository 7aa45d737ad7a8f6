"""A model runner whose steps a test can hold, fail or alter."""

import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.model_runner import LaunchedStep, ModelRunner, StepOutput
from sizeup_inference.engine.scheduling.scheduler import Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

DEADLINE_SECONDS = 60.0


class GatedRunner(ModelRunner):
    """Runs steps while its gate is open, which it is at first."""

    def __init__(self, forward: ForwardPass) -> None:
        super().__init__(forward)
        self.failures = 0
        """Steps that still have to fail, of those that arrive from now on."""
        self.launched = self.ahead = 0
        """Steps, and of these the ones launched before the tokens of the one before were known."""
        self.failure: Exception = RuntimeError("injected failure")
        self.alter: Callable[[StepOutput], StepOutput] = lambda output: output
        """Applied to the output of each step."""
        self._changed = threading.Condition()
        self._is_open, self._is_held = True, False

    def launch(
        self,
        step: Step,
        masks: Mapping[SequenceState, "array[int]"] = MappingProxyType({}),
        after: LaunchedStep | None = None,
    ) -> LaunchedStep:
        self.launched += 1
        self.ahead += after is not None
        fails = self.failures > 0
        with self._changed:
            self._is_held = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_open, DEADLINE_SECONDS)
            self._is_held = False
        if fails:
            self.failures -= 1
            raise self.failure
        launched = super().launch(step, masks, after)
        return replace(launched, finish=lambda result: self.alter(launched.finish(result)))

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Hold the next step until the end of the block."""
        with self._changed:
            self._is_open = False
        try:
            yield
        finally:
            with self._changed:
                self._is_open = True
                self._changed.notify_all()

    def wait_held(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_held, DEADLINE_SECONDS)
