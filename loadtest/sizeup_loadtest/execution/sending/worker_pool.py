"""The workers of a run, as their parent sees them: it plans and records, they send."""

import asyncio
import itertools
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.errors import BenchError
from sizeup_loadtest.execution.sending import worker
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler
from sizeup_loadtest.execution.sending.clock import SECOND_NS, Clock
from sizeup_loadtest.execution.sending.load_generator import Observer, Share
from sizeup_loadtest.execution.sending.worker import (
    Message,
    Order,
    Progress,
    StopModel,
    WorkerLag,
)
from sizeup_loadtest.workload import schedule

LEAD_NS = SECOND_NS // 5
"""Between giving a share to a worker and its start: to pickle ten thousand requests (50 ms), with
room."""
_JOIN_SECONDS = 5.0


class WorkerError(BenchError):
    """A worker process ended by itself."""


@dataclass(slots=True)
class WorkerPool:
    """Shares segments among processes. An async context manager."""

    config: Config
    count: int
    clock: Clock
    observer: Observer
    lag: LoopLagSampler
    _workers: list[tuple[BaseProcess, Connection]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _running: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    _started: list[asyncio.Future[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        """Start the processes; spawned, because a fork copies the event loop."""
        spawn, loop = multiprocessing.get_context("spawn"), asyncio.get_running_loop()
        # Inherited: Ctrl-C reaches the whole group, and this process ends the others.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for _ in range(self.count):
            ours, theirs = spawn.Pipe()
            number, started = self._expect()
            self._started.append(started)
            arguments = (theirs, self.config, self.clock.origin_ns, number)
            process: BaseProcess = spawn.Process(target=worker.main, args=arguments, daemon=True)
            process.start()
            theirs.close()
            loop.add_reader(ours.fileno(), self._read, len(self._workers))
            self._workers.append((process, ours))
        signal.signal(signal.SIGINT, handler)
        return self

    async def ready(self) -> None:
        """Wait until every process has started: seconds, most of them for its imports."""
        await asyncio.gather(*self._started)

    def _expect(self) -> tuple[int, asyncio.Future[None]]:
        """Return a number, and what becomes done when a worker reports it."""
        number = next(self._numbers)
        self._running[number] = asyncio.get_running_loop().create_future()
        return number, self._running[number]

    async def __aexit__(self, *exception: object) -> None:
        """End the processes, each of which sends its lag at last."""
        for index in range(len(self._workers)):
            self._send(index, None)
        for process, connection in self._workers:
            await asyncio.to_thread(process.join, _JOIN_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            asyncio.get_running_loop().remove_reader(connection.fileno())
            connection.close()

    async def run(self, share: Share, server: Server) -> None:
        """Divide a segment; returns when its last request has ended."""
        done = []
        for index in range(self.count):
            part = schedule.share(share.segment, index, self.count)
            if part.requests:
                number, future = self._expect()
                done.append(future)
                used = {r.prompt: share.prompts[r.prompt] for r in part.requests}
                own = replace(share, segment=part, prompts=used)
                self._send(index, Order(number, own, server))
        await asyncio.gather(*done)

    def stop_model(self, model: str) -> None:
        for index in range(self.count):
            self._send(index, StopModel(model))

    def _send(self, index: int, message: Message) -> None:
        try:
            self._workers[index][1].send(message)
        except OSError:
            self._lost(index)

    def _read(self, index: int) -> None:
        process, connection = self._workers[index]
        try:
            while connection.poll():
                message: Progress | WorkerLag = connection.recv()
                if isinstance(message, WorkerLag):
                    self.lag.add_worker(message.run, message.stages)
                    asyncio.get_running_loop().remove_reader(connection.fileno())
                    return
                self._receive(message)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(connection.fileno())
            process.join(_JOIN_SECONDS)
            self._lost(index)

    def _receive(self, message: Progress) -> None:
        for request in message.sent:
            self.observer.sent(request)
        for record in message.ended:
            self.observer.ended(record)
        for number in message.done:
            with suppress(asyncio.InvalidStateError):  # cancelled with its run
                self._running.pop(number).set_result(None)

    def _lost(self, index: int) -> None:
        """End the run: the load of a lost worker is missing, and so are its records."""
        code = self._workers[index][0].exitcode
        error = WorkerError(f"worker {index + 1} of {self.count} ended (exit code {code})")
        for future in self._running.values():
            if not future.done():
                future.set_exception(error)
