"""An event loop whose clock jumps to the next timer, so that minutes pass in milliseconds.

Only for code without sockets: what waits for one would find that all timers have passed.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Clock(selectors.DefaultSelector):
    """Waits for nothing: moves the clock by the timeout instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(main)
