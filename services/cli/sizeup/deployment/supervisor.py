"""Supervise child processes: start, watch, restart, stop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sizeup.deployment import process
from sizeup.deployment.backoff import History, Policy, next_start
from sizeup.deployment.child_log import ChildLog
from sizeup.deployment.process import Command, Process
from sizeup.deployment.readiness import Probe, Progress, until_hung, until_ready
from sizeup.deployment.report import Report
from sizeup.errors import ChildFailedError

_KILLED_SECONDS = 10.0
"""A killed process exits at once unless it hangs in a device driver; then do not wait."""


Start = Callable[[Command, ChildLog], Awaitable[Process]]


class Supervisor:
    """Keep one child running until stop, unless scaled to zero. Belongs to one event loop."""

    def __init__(
        self,
        command: Command,
        probe: Probe,
        report: Report,
        policy: Policy,
        start: Start = process.start,
    ) -> None:
        self.name = command.name
        self.ready = asyncio.Event()
        """Set while the child is ready."""
        self.wanted = True
        """Its scale."""
        self.changes = 0
        """Of the scale."""
        self._command = command
        self._probe = probe
        self._report = report
        self._policy = policy
        self._start = start
        self._history = History()
        self._process: Process | None = None
        self._unloading = False
        """Whether the running process is exiting because its scale is 0."""
        self._changed = asyncio.Event()
        """Of the scale, or stopping."""
        self._stopping = asyncio.Event()
        self._exited = asyncio.Event()

    async def run(self) -> None:
        """Restart the child whenever it exits, until stop; ChildFailedError if it is given up."""
        log = ChildLog(self._command.log_path)
        try:
            while await self._until_wanted():
                await self._wait_before_restart(await self._run_once(log))
        finally:
            self.kill()
            self._exited.set()
            log.close()

    def scale(self, replicas: int, seconds: float) -> None:
        """Start the child, or terminate it and kill it after this time; returns at once."""
        if self.wanted is bool(replicas):
            return
        self.wanted = bool(replicas)
        self.changes += 1
        self._changed.set()
        if not self.wanted and self._process:
            self._unloading = True
            self._process.terminate()
            asyncio.get_running_loop().call_later(seconds, self._process.kill)

    async def stop(self, seconds: float) -> None:
        """Terminate the child, and kill it after this time."""
        self._stop_restarting()
        if self._process:
            self._process.terminate()
        if not await _within(seconds, self._exited):
            self.kill()
            await _within(_KILLED_SECONDS, self._exited)

    def kill(self) -> None:
        """Send SIGKILL; does not wait."""
        self._stop_restarting()
        if self._process:
            self._process.kill()

    def _stop_restarting(self) -> None:
        self._stopping.set()
        self._changed.set()

    async def _until_wanted(self) -> bool:
        """Wait while scaled to zero; return False once stopping."""
        while not (self.wanted or self._stopping.is_set()):
            self._changed.clear()
            await self._changed.wait()
        return not self._stopping.is_set()

    async def _run_once(self, log: ChildLog) -> str:
        """Run the child from start to exit; return the reason of the exit."""
        self._process = await self._start(self._command, log)
        if self._stopping.is_set() or not self.wanted:  # while starting
            self._unloading = not self.wanted
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
        """Report readiness, and kill the child if it hangs later on.

        A hung process keeps its connections open, so its clients would wait for it.
        """
        await until_ready(self._probe, self._progressed)
        await until_hung(self._probe, self._policy.hung_seconds)
        if not self._stopping.is_set():  # a draining child is not ready either
            process.kill()

    def _progressed(self, progress: Progress) -> None:
        if self._stopping.is_set():
            return
        if progress.ready:
            self._history = self._history.after_ready(time.monotonic())
            self.ready.set()
        self._report.progress(self.name, progress)

    async def _wait_before_restart(self, reason: str) -> None:
        self._process = None
        was_unloaded, self._unloading = self._unloading, False
        if self._stopping.is_set():
            return
        if was_unloaded:
            self._history = replace(self._history, ready_at=None)
            self._report.unloaded(self.name)
            return
        self._history = self._history.after_exit(time.monotonic(), self._policy)
        wait = next_start(self._history, self._policy)
        if wait is None:
            raise ChildFailedError(
                f"{self.name} failed to start {self._history.failures} times: {reason}\n"
                f"log: {self._command.log_path}"
            )
        self._report.exited(self.name, reason, wait)
        await _within(wait, self._stopping)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def stop_in_order(stages: Sequence[Sequence[Supervisor]], seconds: float) -> None:
    """Stop the stages one after the other, within about this time in total.

    The gateway comes first: it exits after its last response, when no request needs inference.
    """
    deadline = time.monotonic() + seconds
    for stage in stages:
        remaining = max(1.0, deadline - time.monotonic())
        await asyncio.gather(*(supervisor.stop(remaining) for supervisor in stage))
