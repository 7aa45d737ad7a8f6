import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from sizeup_inference.errors import BusyError
from sizeup_inference.requests.worker_thread import WorkerThread

DEADLINE_SECONDS = 10.0


class Jobs:
    """Jobs of a thread that the first one holds until `release`."""

    def __init__(self, max_pending: int = 100) -> None:
        self.thread = WorkerThread("test", max_pending)
        self.done: list[str] = []
        self.release = threading.Event()

    def start(self, name: str, client: str | None = None) -> asyncio.Task[str]:
        def job() -> str:
            self.release.wait(DEADLINE_SECONDS)
            self.done.append(name)
            return name

        return asyncio.create_task(self.thread.run(job, client))


def run(scenario: Callable[[Jobs], Awaitable[None]], max_pending: int = 100) -> None:
    async def whole() -> None:
        jobs = Jobs(max_pending)
        try:
            await scenario(jobs)
        finally:
            jobs.release.set()
            jobs.thread.close()

    asyncio.run(asyncio.wait_for(whole(), DEADLINE_SECONDS))


def test_jobs_of_one_client_keep_their_order() -> None:
    async def scenario(jobs: Jobs) -> None:
        tasks = [jobs.start(str(i), "a") for i in range(20)]
        await asyncio.sleep(0)
        jobs.release.set()
        names = [str(i) for i in range(20)]
        assert await asyncio.gather(*tasks) == names == jobs.done

    run(scenario)


def test_another_client_is_next() -> None:
    async def scenario(jobs: Jobs) -> None:
        greedy = [jobs.start(f"a{i}", "a") for i in range(50)]
        await asyncio.sleep(0)
        polite = jobs.start("b", "b")
        await asyncio.sleep(0)
        jobs.release.set()
        await asyncio.gather(polite, *greedy)
        assert jobs.done.index("b") == 1

    run(scenario)


def test_a_full_queue_rejects() -> None:
    async def scenario(jobs: Jobs) -> None:
        tasks = [jobs.start("a"), jobs.start("b")]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await jobs.start("c")
        jobs.release.set()
        await asyncio.gather(*tasks)
        assert await jobs.start("d") == "d"

    run(scenario, max_pending=2)


def test_a_cancelled_job_does_not_run_and_delays_no_other() -> None:
    async def scenario(jobs: Jobs) -> None:
        first, second, third = (jobs.start(name, name) for name in ("a", "b", "c"))
        await asyncio.sleep(0)
        second.cancel()
        jobs.release.set()
        assert list(await asyncio.gather(first, third)) == ["a", "c"]
        assert second.cancelled()
        assert jobs.done == ["a", "c"]

    run(scenario)


def test_a_job_that_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.release.set()
        tasks = [jobs.start(str(i)) for i in range(30)]
        for task in tasks[::2]:
            await asyncio.wait({task}, timeout=0)
            task.cancel()
        await asyncio.gather(*tasks[1::2])

    run(scenario)


def test_a_job_that_fails_delays_no_other() -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.release.set()
        failing = asyncio.create_task(jobs.thread.run(lambda: 1 // 0))
        after = jobs.start("after")
        with pytest.raises(ZeroDivisionError):
            await failing
        assert await after == "after"

    run(scenario)


def test_closing_drops_queued_jobs() -> None:
    async def scenario(jobs: Jobs) -> None:
        running, queued = jobs.start("a"), jobs.start("b")
        await asyncio.sleep(0)
        jobs.thread.close()
        jobs.release.set()
        assert await running == "a"
        with pytest.raises(asyncio.CancelledError):
            await queued

    run(scenario)
