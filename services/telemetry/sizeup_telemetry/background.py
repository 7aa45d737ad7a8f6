"""Long blocking functions in threads beside the event loop."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SWITCH_SECONDS = 0.001
"""Python's 5 ms are longer than a step of a small model: beside a thread that parses a large body
a token would wait for them in the gateway and in inference."""


def share_interpreter() -> None:
    """Let the threads of this process take the interpreter from one another after 1 ms."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def in_thread(function: Callable[[], T], name: str = "background") -> asyncio.Future[T]:
    """Run a function in a daemon thread: unlike an executor, the loop can close while it runs.

    Cancelling the future does not stop the function.
    """
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

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
