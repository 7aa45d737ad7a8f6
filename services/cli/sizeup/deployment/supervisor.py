"""Keep children running: start, watch, bring back, stop."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from sizeup.deployment import process
from sizeup.deployment.backoff import History, Policy, next_start
from sizeup.deployment.child_log import ChildLog
from sizeup.deployment.process import Command, Process
from sizeup.deployment.readiness import Probe, Progress, until_hung, until_ready
from sizeup.errors import ChildFailedError

_KILLED_SECONDS = 10.0
"""The kernel takes a killed process away at once, unless it hangs in a device; then go without."""


class Observer(Protocol):
    """Is told what happens to the children."""

    def progress(self, name: str, progress: Progress) -> None:
        """A child says how far it is; the last is ready."""

    def died(self, name: str, reason: str, wait_seconds: float) -> None:
        """A child ended unasked and is started again after the wait."""


class Supervisor:
    """Keep one child running until stop. Belongs to one event loop."""

    def __init__(self, command: Command, probe: Probe, observer: Observer, policy: Policy) -> None:
        """Prepare; run starts it."""
        self.name = command.name
        self.ready = asyncio.Event()
        """Set while the child says it is ready."""
        self._command = command
        self._probe = probe
        self._observer = observer
        self._policy = policy
        self._history = History()
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Start the child again whenever it ends; return after stop.

        Raises ChildFailedError when it was never ready and the policy gives it up.
        """
        log = ChildLog(self._command.log_path)
        try:
            while not self._stopping.is_set():
                await self._wait_before_next_start(await self._live(log))
        finally:
            self.kill()
            self._ended.set()
            log.close()

    async def stop(self, seconds: float) -> None:
        """Ask the child to end, and kill it if it has not within this time."""
        self._stopping.set()
        if self._process:
            self._process.terminate()
        if not await _within(seconds, self._ended):
            self.kill()
            await _within(_KILLED_SECONDS, self._ended)

    def kill(self) -> None:
        """End the child at once."""
        self._stopping.set()
        if self._process:
            self._process.kill()

    async def _live(self, log: ChildLog) -> str:
        """Run the child once, from start to end; return how it ended."""
        self._process = await process.start(self._command, log)
        if self._stopping.is_set():  # stop came while it was being started
            self._process.terminate()
        watch = asyncio.create_task(self._watch(self._process))
        try:
            end = await self._process.wait()
            return f"hung; {end}" if watch.done() else end
        finally:
            self.ready.clear()
            watch.cancel()
            await asyncio.wait((watch,))
            if not watch.cancelled():
                watch.result()

    async def _watch(self, process: Process) -> None:
        """See the child become ready, and kill it when it hangs later on.

        A hung process holds its connections open; only its end tells those who wait.
        """
        await until_ready(self._probe, self._progressed)
        await until_hung(self._probe, self._policy.hung_seconds)
        if not self._stopping.is_set():  # a child that drains is not ready either
            process.kill()

    def _progressed(self, progress: Progress) -> None:
        if self._stopping.is_set():
            return
        if progress.ready:
            self._history = self._history.after_ready(time.monotonic())
            self.ready.set()
        self._observer.progress(self.name, progress)

    async def _wait_before_next_start(self, reason: str) -> None:
        self._process = None
        if self._stopping.is_set():
            return
        self._history = self._history.after_death(time.monotonic(), self._policy)
        wait = next_start(self._history, self._policy)
        if wait is None:
            raise ChildFailedError(
                f"{self.name} failed to start {self._history.failures} times: {reason}\n"
                f"its log: {self._command.log_path}"
            )
        self._observer.died(self.name, reason, wait)
        await _within(wait, self._stopping)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event; tell whether it came in time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def stop_in_order(stages: Sequence[Sequence[Supervisor]], seconds: float) -> None:
    """Stop the groups one after the other, together within about this time.

    The door goes first: it ends when its last answer has, and then nobody needs what is behind it.
    """
    deadline = time.monotonic() + seconds
    for stage in stages:
        left = max(1.0, deadline - time.monotonic())
        await asyncio.gather(*(supervisor.stop(left) for supervisor in stage))
