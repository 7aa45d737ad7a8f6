"""A worker: a process that sends its share of every segment, with an event loop of its own."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Thread

from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler, sample_loop_lag
from sizeup_loadtest.execution.sending.clock import Clock
from sizeup_loadtest.execution.sending.load_generator import SendContext, Share, run_segment

_FLUSH_SECONDS = 0.1
"""Between messages to the parent: rare beside the tokens of a stream, often enough for a view."""


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    """By which the worker reports that it is done."""
    share: Share
    server: Server
    """That of its model, without what it was found to refuse."""


@dataclass(frozen=True, slots=True)
class StopModel:
    """Nothing more is to be sent to a model."""

    model: str


Message = Order | StopModel | None
"""From the parent; None ends the worker."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened since the last message, in this order."""

    sent: tuple[Request, ...]
    ended: tuple[Record, ...]
    done: tuple[int, ...] = ()
    """Numbers of the shares that are complete."""


@dataclass(frozen=True, slots=True)
class WorkerLag:
    """The last message of a worker: the lag of its event loop, of the run and by stage."""

    run: Lag | None
    stages: Mapping[str, Lag]


def main(connection: Connection, config: Config, origin_ns: int, number: int) -> None:
    """Serve the parent until it ends the worker; the first message has `number` as done."""
    with suppress(OSError):  # the parent has ended
        asyncio.run(_serve(connection, config, origin_ns, number))


async def _serve(connection: Connection, config: Config, origin_ns: int, number: int) -> None:
    clock, loop = Clock(origin_ns), asyncio.get_running_loop()
    with suppress(asyncio.CancelledError):
        async with (
            Client({}, config.sampling, clock) as client,
            sample_loop_lag(clock) as lag,
            asyncio.TaskGroup() as tasks,
        ):
            worker = _Worker(connection, client, lag, tasks)
            flushing = tasks.create_task(worker.flush_forever())

            def read() -> None:
                with suppress(EOFError, OSError):
                    while message := connection.recv():
                        loop.call_soon_threadsafe(worker.receive, message)
                loop.call_soon_threadsafe(flushing.cancel)

            # A thread: the parent waits until a large share is read, also while this loop waits
            # for it.
            Thread(target=read, daemon=True).start()
            connection.send(Progress((), (), (number,)))
            await flushing  # its end cancels the shares that are still sent
    connection.send(WorkerLag(lag.lag(), lag.stages()))


@dataclass(slots=True)
class _Worker:
    """Observes its requests, and reports them in batches."""

    connection: Connection
    client: Client
    lag: LoopLagSampler
    tasks: asyncio.TaskGroup
    _stopped: set[str] = field(default_factory=set)
    _sent: list[Request] = field(default_factory=list)
    _ended: list[Record] = field(default_factory=list)

    def receive(self, message: Order | StopModel) -> None:
        if isinstance(message, StopModel):
            self._stopped.add(message.model)
        else:
            self.tasks.create_task(self._run(message))

    async def _run(self, order: Order) -> None:
        segment = order.share.segment
        self.client.servers[segment.model] = order.server
        context = SendContext(self.client.send, self, self.client.clock, self._stopped.__contains__)
        with self.lag.during(segment.stage.key):
            await run_segment(order.share, context)
        self._flush((order.number,))

    def sent(self, request: Request) -> None:
        self._sent.append(request)

    def ended(self, record: Record) -> None:
        self._ended.append(record)

    async def flush_forever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._flush()

    def _flush(self, done: tuple[int, ...] = ()) -> None:
        if self._sent or self._ended or done:
            self.connection.send(Progress(tuple(self._sent), tuple(self._ended), done))
            self._sent.clear()
            self._ended.clear()
