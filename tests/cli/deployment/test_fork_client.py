import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cli.children import DEADLINE_SECONDS, is_running, until
from sizeup.deployment.child_log import ChildLog
from sizeup.deployment.fork_client import ForkServer
from sizeup.deployment.process import Command, Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

IMPORTS = "LOADED = True"
SERVICE = """
import os, sys, time
import shared
assert shared.LOADED
ending = os.environ["ENDING"]
name = open("/proc/self/comm").read().strip()
print(name, sys.argv[0].endswith("service.py"), os.getpid() == os.getsid(0), flush=True)
print(os.getppid(), file=sys.stderr, flush=True)
if ending == "fail":
    raise RuntimeError("no weights here")
time.sleep(600)
"""


class Forking:
    """A fork server of SERVICE, with its log files in a folder."""

    def __init__(self, folder: Path, imports: str = "shared") -> None:
        (folder / "shared.py").write_text(IMPORTS)
        (folder / "service.py").write_text(SERVICE)
        self.folder = folder
        self.logs: list[ChildLog] = []
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.server = ForkServer("service", imports, self.environment, folder / "server.log")

    async def start(self, name: str, ending: str) -> Process:
        log_path = self.folder / f"{name}.log"
        fallback = (sys.executable, "-c", "import time; print('executed', flush=True)")
        command = Command(name, fallback, {**self.environment, "ENDING": ending}, log_path)
        self.logs.append(ChildLog(log_path))
        return await self.server.start(command, self.logs[-1])

    async def close(self) -> None:
        await self.server.close()
        for log in self.logs:
            log.close()

    def log(self, name: str) -> list[str]:
        return (self.folder / f"{name}.log").read_text().splitlines()

    async def parent_of(self, name: str) -> int:
        """Return the pid of the server, which the service prints."""
        await until(lambda: len(self.log(name)) > 1)
        return int(self.log(name)[1])


def run(scenario: Callable[[Forking], Awaitable[None]], forking: Forking) -> None:
    async def closing() -> None:
        try:
            await scenario(forking)
        finally:
            await forking.close()

    asyncio.run(asyncio.wait_for(closing(), DEADLINE_SECONDS))


def test_children_run_the_module_in_processes_of_their_own(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        children = await asyncio.gather(*(forking.start(name, "wait") for name in ("a", "b")))
        assert await forking.parent_of("a") == await forking.parent_of("b")
        assert [forking.log(name)[0] for name in "ab"] == ["a True True", "b True True"]
        children[0].terminate()
        assert await children[0].wait() == f"killed by SIGTERM: {forking.log('a')[1]}"
        children[1].kill()
        assert (await children[1].wait()).startswith("killed by SIGKILL")
        children[1].kill()  # does nothing after the exit

    run(scenario, Forking(tmp_path))


def test_the_exit_code_and_the_last_line_are_reported(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        child = await forking.start("a", "fail")
        assert await child.wait() == "exit code 1: RuntimeError: no weights here"

    run(scenario, Forking(tmp_path))


def test_a_missing_module_of_imports_is_left_to_the_child(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        child = await forking.start("a", "fail")
        assert await child.wait() == "exit code 1: RuntimeError: no weights here"

    run(scenario, Forking(tmp_path, imports="missing"))


def test_children_die_with_the_server_and_the_next_start_replaces_it(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        child = await forking.start("a", "wait")
        first = await forking.parent_of("a")
        os.kill(first, signal.SIGKILL)
        assert (await child.wait()).startswith("killed by SIGKILL")
        await until(lambda: not is_running(first))
        second = await forking.start("b", "wait")
        assert await forking.parent_of("b") != first
        second.kill()
        await second.wait()

    run(scenario, Forking(tmp_path))


def test_children_die_with_a_closed_server(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        child = await forking.start("a", "wait")
        await forking.parent_of("a")
        await forking.server.close()
        assert (await child.wait()).startswith("killed by SIGKILL")

    run(scenario, Forking(tmp_path))


def test_without_a_server_the_command_is_executed(tmp_path: Path) -> None:
    async def scenario(forking: Forking) -> None:
        (forking.folder / "shared.py").write_text("raise SystemExit")
        child = await forking.start("a", "wait")
        assert await child.wait() == "exit code 0: executed"

    run(scenario, Forking(tmp_path))
