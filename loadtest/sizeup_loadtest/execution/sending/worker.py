"""A worker: a process that sends its share of every segment, with an event loop of its own."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread

from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import PlannedRequest, Record
from sizeup_loadtest.data.results import Lag
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler, sample_loop_lag
from sizeup_loadtest.execution.sending.clock import Clock
from sizeup_loadtest.execution.sending.load_generator import SendContext, run_segment
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment

_FLUSH_SECONDS = 0.1
"""Between messages to the parent: rare beside the tokens of a stream, often enough for a view."""


@dataclass(frozen=True, slots=True)
class Share:
    """A segment, or the part of it that one worker sends."""

    segment: Segment
    server: Server
    """That of its model, without what it was found to refuse."""
    prompts: Mapping[str, Prompt]
    began_ns: int
    deadline_ns: int
    keep_text: Callable[[PlannedRequest], bool]
    """A function of a module, which can be pickled."""
    response_ns: int
    number: int = 0
    """By which a worker reports that it is done."""


@dataclass(frozen=True, slots=True)
class StopModel:
    """Nothing more is to be sent to a model."""

    model: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened since the last message, in this order."""

    sent: tuple[Request, ...]
    ended: tuple[Record, ...]
    done: tuple[int, ...] = ()
    """Numbers of the shares that are complete."""


@dataclass(frozen=True, slots=True)
class WorkerLag:
    """The event loop lag of a worker so far, of the run and by stage."""

    run: Lag | None
    stages: Mapping[str, Lag]


def main(connection: Connection, config: Config, origin_ns: int, number: int) -> None:
    """Serve the parent until it closes the connection; the first message has `number` as done."""
    with suppress(OSError):  # the parent has ended
        asyncio.run(_serve(connection, config, origin_ns, number))


async def _serve(connection: Connection, config: Config, origin_ns: int, number: int) -> None:
    clock, closed, loop = Clock(origin_ns), asyncio.Event(), asyncio.get_running_loop()
    async with (
        Client({}, config.sampling, clock) as client,
        sample_loop_lag(clock) as lag,
        asyncio.TaskGroup() as tasks,
    ):
        worker = _Worker(connection, client, clock, lag, tasks)

        def read() -> None:
            with suppress(EOFError, OSError):
                while True:
                    loop.call_soon_threadsafe(worker.receive, connection.recv())
            loop.call_soon_threadsafe(closed.set)

        # A thread: the parent waits until a large share is read, also while this loop waits for it.
        Thread(target=read, daemon=True).start()
        connection.send(Progress((), (), (number,)))
        flushing = tasks.create_task(worker.flush_forever())
        await closed.wait()
        flushing.cancel()
        worker.cancel()


class _Worker:
    """Observes its requests, and reports them in batches."""

    def __init__(
        self,
        connection: Connection,
        client: Client,
        clock: Clock,
        lag: LoopLagSampler,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._connection = connection
        self._client = client
        self._clock = clock
        self._lag = lag
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._stopped: set[str] = set()
        self._sent: list[Request] = []
        self._ended: list[Record] = []

    def receive(self, message: Share | StopModel) -> None:
        if isinstance(message, StopModel):
            self._stopped.add(message.model)
            return
        task = self._tasks.create_task(self._run(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, share: Share) -> None:
        self._client.servers[share.segment.model] = share.server
        context = SendContext(
            self._client,
            self,
            self._clock,
            share.deadline_ns,
            share.keep_text,
            share.response_ns,
            self._stopped.__contains__,
        )
        with self._lag.during(share.segment.stage.key):
            await run_segment(share.segment, share.prompts, context, share.began_ns)
        self._flush((share.number,))
        self._connection.send(WorkerLag(self._lag.lag(), self._lag.stages()))

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
            self._connection.send(Progress(tuple(self._sent), tuple(self._ended), done))
            self._sent.clear()
            self._ended.clear()

    def cancel(self) -> None:
        for task in self._running:
            task.cancel()
