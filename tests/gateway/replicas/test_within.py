"""Time limits beside an event loop that is late."""

import asyncio
import time

import pytest

from sizeup_gateway.replicas.discovery import within


def test_the_result_and_the_error_of_the_work() -> None:
    async def fails() -> None:
        raise KeyError

    async def scenario() -> None:
        assert await within(60, asyncio.sleep(0, "result")) == "result"
        with pytest.raises(KeyError):
            await within(60, fails())

    asyncio.run(scenario())


def test_work_that_does_not_end_is_cancelled() -> None:
    cancelled = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await within(0.01, hangs())
        assert cancelled == [True]
        waiting = asyncio.create_task(within(60, hangs()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert cancelled == [True, True]

    asyncio.run(scenario())


def test_a_loop_that_is_late_takes_no_time_from_the_work() -> None:
    async def four_turns() -> str:
        for _ in range(4):
            asyncio.get_running_loop().call_soon(time.sleep, 0.03)  # longer than the limit
            await asyncio.sleep(0)
        return "done"

    async def scenario() -> None:
        assert await within(0.02, four_turns()) == "done"

    asyncio.run(scenario())
