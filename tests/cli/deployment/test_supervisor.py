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
    RUN_FOREVER,
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


def test_a_killed_child_is_restarted(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, RUN_FOREVER)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        first = supervised.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: bool(supervised.recorder.exits))
        await ready(supervised)
        second = supervised.pid
        assert second != first
        assert supervised.recorder.exits == ["killed by SIGKILL: up"]
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert not is_running(second)

    asyncio.run(scenario())


def test_a_hung_child_is_killed_and_restarted(tmp_path: Path) -> None:
    async def scenario() -> None:
        policy = Policy(first_seconds=0.01, longest_seconds=0.05, hung_seconds=0.05)
        supervised = Supervised(tmp_path, RUN_FOREVER, policy)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        supervised.hung = True
        await until(lambda: bool(supervised.recorder.exits))
        supervised.hung = False
        await ready(supervised)
        assert supervised.recorder.exits[0] == "hung; killed by SIGKILL: up"
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(scenario())


def test_a_draining_child_is_not_hung(tmp_path: Path) -> None:
    async def scenario() -> None:
        policy = Policy(first_seconds=0.01, longest_seconds=0.05, hung_seconds=0.05)
        supervised = Supervised(tmp_path, DRAIN, policy)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        supervised.hung = True
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert supervised.log.read_text().split() == ["up", "draining", "drained"]

    asyncio.run(scenario())


def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, FAIL)
    with pytest.raises(ChildFailedError, match=r"3 times: exit code 3: no weights here") as error:
        asyncio.run(asyncio.wait_for(supervised.supervisor.run(), DEADLINE_SECONDS))
    assert str(supervised.log) in str(error.value)
    assert len(supervised.recorder.exits) == 2


def test_stop_lets_a_child_drain(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, DRAIN)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running
        assert supervised.log.read_text().split() == ["up", "draining", "drained"]
        assert supervised.recorder.exits == []

    asyncio.run(scenario())


def test_stop_kills_a_child_after_the_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        await supervised.supervisor.stop(0.2)
        await running
        assert not is_running(pid)

    asyncio.run(scenario())


def test_kill_interrupts_a_drain(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        stopping = asyncio.create_task(supervised.supervisor.stop(600.0))
        await asyncio.sleep(0)
        supervised.supervisor.kill()
        await asyncio.wait_for(asyncio.gather(running, stopping), DEADLINE_SECONDS)

    asyncio.run(scenario())


def test_stop_interrupts_the_backoff(tmp_path: Path) -> None:
    async def scenario() -> None:
        slow = Policy(first_seconds=600.0, longest_seconds=600.0)
        supervised = Supervised(tmp_path, FAIL, slow)
        running = asyncio.create_task(supervised.supervisor.run())
        await until(lambda: bool(supervised.recorder.exits))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await supervised.supervisor.stop(DEADLINE_SECONDS)
            await running

    asyncio.run(scenario())


def test_a_child_that_is_scaled_to_zero_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, DRAIN)
        supervisor, recorder = supervised.supervisor, supervised.recorder
        running = asyncio.create_task(supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        supervisor.scale(0, DEADLINE_SECONDS)
        assert (supervisor.wanted, supervisor.changes) == (False, 1)
        await until(lambda: len(recorder.unloads) == 1)
        assert not is_running(pid)
        supervisor.scale(1, DEADLINE_SECONDS)
        await ready(supervised)
        supervisor.scale(0, DEADLINE_SECONDS)
        supervisor.scale(1, DEADLINE_SECONDS)  # before it has drained
        await until(lambda: len(recorder.unloads) == 2)
        await ready(supervised)
        assert recorder.exits == []  # no failures, which would delay the next start
        await supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(scenario())


def test_a_child_that_does_not_exit_when_scaled_to_zero_is_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        supervised.supervisor.scale(0, 0.05)
        await until(lambda: bool(supervised.recorder.unloads))
        assert not is_running(pid)
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(scenario())


def test_a_child_that_is_scaled_to_zero_while_starting_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, RUN_FOREVER)
        running = asyncio.create_task(supervised.supervisor.run())
        await asyncio.sleep(0)  # the child is being started
        supervised.supervisor.scale(0, DEADLINE_SECONDS)
        await until(lambda: bool(supervised.recorder.unloads))
        await supervised.supervisor.stop(DEADLINE_SECONDS)
        await running

    asyncio.run(scenario())


def test_kill_includes_grandchildren(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, 'up', sep='\\n', flush=True)\n"
        "time.sleep(600)\n"
    )

    async def scenario() -> None:
        supervised = Supervised(tmp_path, program)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        grandchild = int(supervised.log.read_text().split()[0])
        supervised.supervisor.kill()
        await running
        await until(lambda: not is_running(grandchild))

    asyncio.run(scenario())


def test_cancelling_the_supervisor_leaves_no_child(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervised = Supervised(tmp_path, IGNORE_SIGTERM)
        running = asyncio.create_task(supervised.supervisor.run())
        await ready(supervised)
        pid = supervised.pid
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: not is_running(pid))
        await supervised.reaped()

    asyncio.run(scenario())


def test_output_without_line_ends_does_not_stop_the_child(tmp_path: Path) -> None:
    program = "import sys; sys.stdout.write('x' * 3_000_000 + '\\nup\\n'); sys.exit(1)"
    supervised = Supervised(tmp_path, program)
    with pytest.raises(ChildFailedError, match="exit code 1: up"):
        asyncio.run(asyncio.wait_for(supervised.supervisor.run(), DEADLINE_SECONDS))


def test_stages_stop_in_order(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def program(name: str) -> str:
        output = f"open({str(journal)!r}, 'a', buffering=1)"
        return DRAIN.replace("print('drain", f"print('{name} drain").replace(
            "', flush=True)\n    ", f"', file={output})\n    "
        )

    async def scenario() -> None:
        children = []
        for name in ("gateway", "inference"):
            (tmp_path / name).mkdir()
            children.append(Supervised(tmp_path / name, program(name)))
        running = [asyncio.create_task(s.supervisor.run()) for s in children]
        await asyncio.gather(*map(ready, children))
        gateway, inference = (s.supervisor for s in children)
        await stop_in_order(((gateway,), (inference,)), DEADLINE_SECONDS)
        await asyncio.gather(*running)
        assert journal.read_text().split("\n")[:-1] == [
            "gateway draining",
            "gateway drained",
            "inference draining",
            "inference drained",
        ]

    asyncio.run(scenario())
