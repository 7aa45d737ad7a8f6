"""Bring a model up in a thread of its own, while HTTP already answers. Blocking."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from sizeup_inference.engine import Deliver
from sizeup_inference.fake_model import start_fake
from sizeup_inference.running import Progress, RunningModel, StartEngine
from sizeup_inference.settings import Settings

T = TypeVar("T")


def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Start the engine the settings name; raise whatever stops it."""
    return _start_function(settings)(settings, deliver, progress)


def _start_function(settings: Settings) -> StartEngine:
    if settings.engine == "fake":
        return start_fake
    from sizeup_inference.start import start_engine  # torch: not for the fake

    return start_engine


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run a long function in a daemon thread, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only with an error

    def run() -> None:
        result, caught = None, None
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  # it is the awaiting task's to handle
            caught = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            loop.call_soon_threadsafe(settle, result, caught)

    threading.Thread(target=run, name="loading", daemon=True).start()
    return future
