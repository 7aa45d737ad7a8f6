import asyncio
import threading

import pytest

from sizeup_telemetry.background import in_thread


def test_the_result_or_exception_reaches_the_caller() -> None:
    def broken() -> None:
        raise OSError("gone")

    async def scenario() -> str:
        with pytest.raises(OSError, match="gone"):
            await in_thread(broken)
        return await in_thread(lambda: threading.current_thread().name, "its name")

    assert asyncio.run(scenario()) == "its name"


def test_a_cancelled_future_does_not_block_the_loop() -> None:
    """The function ends only after the loop has."""
    loop_is_over, over = threading.Event(), threading.Event()

    def stuck() -> None:
        loop_is_over.wait(60)
        over.set()

    async def scenario() -> None:
        future = in_thread(stuck)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future

    asyncio.run(scenario())
    assert not over.is_set()
    loop_is_over.set()
    assert over.wait(60)
