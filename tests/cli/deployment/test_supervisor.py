import asyncio
import os
import signal
from pathlib import Path

import pytest

from cli.children import (
    DEADLINE_SECONDS,
    DRAIN,
    FAIL,
    IGNORE_SIGTERM,
    RUN_FOR_EVER,
    Supervised,
    is_running,
    until,
)
from sizeup.deployment.backoff import Policy
from sizeup.deployment.supervisor import stop_in_order
from sizeup.errors import ChildFailedError


async def ready(supervised: Supervised) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await supervised.supervisor.ready.wait()


def test_a_killed_child_comes_back_and_the_reason_is_told(tmp_path: Path) -> None:
    async def scene() -> None:
        supervised = Supervised(tmp_path, RUN_FOR_EVER)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        first = supervised.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: bool(supervised.recorder.deaths))
        await ready(supervised)
        second = supervised.pid
        assert second != first
        assert supervised.recorder.deaths == ["killed by SIGKILL; last it said: up"]
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert not is_running(second)

    asyncio.run(scene())


def test_a_child_that_hangs_is_killed_and_comes_back(tmp_path: Path) -> None:
    async def scene() -> None:
        policy = Policy(first_seconds=0.01, longest_seconds=0.05, hung_seconds=0.05)
        supervised = Supervised(tmp_path, RUN_FOR_EVER, policy)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        supervised.silent = True
        await until(lambda: bool(supervised.recorder.deaths))
        supervised.silent = False
        await ready(supervised)
        assert supervised.recorder.deaths[0] == "hung; killed by SIGKILL; last it said: up"
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(scene())


def test_a_child_that_drains_longer_than_a_hang_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        policy = Policy(first_seconds=0.01, longest_seconds=0.05, hung_seconds=0.05)
        supervised = Supervised(tmp_path, DRAIN, policy)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        supervised.silent = True
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert supervised.log.read_text().split() == ["up", "draining", "drained"]

    asyncio.run(scene())


def test_a_child_that_never_becomes_ready_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, FAIL)
    with pytest.raises(ChildFailedError, match=r"3 times: exit code 3; .*no weights here") as error:
        asyncio.run(asyncio.wait_for(supervised.supervisor.run(), DEADLINE_SECONDS))
    assert str(supervised.log) in str(error.value)
    assert len(supervised.recorder.deaths) == 2


def test_stop_lets_a_child_drain(tmp_path: Path) -> None:
    async def scene() -> None:
        supervised = Supervised(tmp_path, DRAIN)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert supervised.log.read_text().split() == ["up", "draining", "drained"]
        assert supervised.recorder.deaths == []

    asyncio.run(scene())


def test_stop_kills_a_child_that_does_not_end(tmp_path: Path) -> None:
    async def scene() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        await supervised.supervisor.stop(0.2)
        await running
        assert not is_running(pid)

    asyncio.run(scene())


def test_a_kill_during_a_drain_ends_it_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        stopping = asyncio.create_task(supervised.supervisor.stop(600.0))
        await asyncio.sleep(0)
        supervised.supervisor.kill()
        await asyncio.wait_for(asyncio.gather(running, stopping), DEADLINE_SECONDS)

    asyncio.run(scene())


def test_stop_does_not_sit_out_a_wait_between_starts(tmp_path: Path) -> None:
    async def scene() -> None:
        patient = Policy(first_seconds=600.0, longest_seconds=600.0)
        supervised = Supervised(tmp_path, FAIL, patient)
        running = asyncio.create_task(supervised.supervisor.run())
        await until(lambda: bool(supervised.recorder.deaths))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await supervised.supervisor.stop(DEADLINE_SECONDS)
            await running

    asyncio.run(scene())


def test_kill_takes_what_the_child_started_with_it(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, 'up', sep='\\n', flush=True)\n"
        "time.sleep(600)\n"
    )

    async def scene() -> None:
        supervised = Supervised(tmp_path, program)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        grandchild = int(supervised.log.read_text().split()[0])
        supervised.supervisor.kill()
        await running
        await until(lambda: not is_running(grandchild))

    asyncio.run(scene())


def test_cancelling_the_supervisor_leaves_no_child(tmp_path: Path) -> None:
    async def scene() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: not is_running(pid))

    asyncio.run(scene())


def test_output_without_line_ends_does_not_stop_the_child(tmp_path: Path) -> None:
    program = "import sys; sys.stdout.write('x' * 3_000_000 + '\\nup\\n'); sys.exit(1)"
    supervised = Supervised(tmp_path, program)
    with pytest.raises(ChildFailedError, match="last it said: up"):
        asyncio.run(asyncio.wait_for(supervised.supervisor.run(), DEADLINE_SECONDS))


def test_the_door_is_closed_before_what_is_behind_it(tmp_path: Path) -> None:
    diary = tmp_path / "diary"

    def program(name: str) -> str:
        output = f"open({str(diary)!r}, 'a', buffering=1)"
        return DRAIN.replace("print('drain", f"print('{name} drain").replace(
            "', flush=True)\n    ", f"', file={output})\n    "
        )

    async def scene() -> None:
        people = []
        for name in ("door", "behind"):
            (tmp_path / name).mkdir()
            people.append(Supervised(tmp_path / name, program(name)))
        running = [asyncio.create_task(s.supervisor.run()) for s in people]
        await asyncio.gather(*map(ready, people))
        door, behind = (s.supervisor for s in people)
        await stop_in_order(((door,), (behind,)), DEADLINE_SECONDS)
        await asyncio.gather(*running)
        assert diary.read_text().split("\n")[:-1] == [
            "door draining",
            "door drained",
            "behind draining",
            "behind drained",
        ]

    asyncio.run(scene())
