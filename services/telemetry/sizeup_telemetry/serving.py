"""Run a process's ASGI application, its metrics port and its shutdown."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from sizeup_telemetry.drain import Drain
from sizeup_telemetry.protocol import Limits, limited_protocol

_LAST_WORDS_SECONDS = 2.0
"""After the drain deadline, streams get this long to write their error and close."""

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which load balancers drop idle connections: they close first."""

_DRAIN_POLL_SECONDS = 0.05
"""Unseen beside the tenth of a second uvicorn takes to notice a signal."""


class LifespanError(RuntimeError):
    """The application failed as it started or shut down; the log says how."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to serve; port 0 takes a free one."""

    host: str
    port: int
    metrics_port: int | None
    """Serve the metrics application here as well; None serves it nowhere else."""
    drain_seconds: float
    stalled_write_seconds: float = 60.0
    """A connection whose reader takes nothing for so long is cut."""
    header_seconds: float = 10.0
    """Time for sending the headers of a request; a person's worst mobile network needs less."""
    listens_while_draining: bool = False
    """Take new connections until what runs has ended, or the drain is over."""


class _Server(uvicorn.Server):
    """A uvicorn server that tells a Drain about SIGTERM and SIGINT."""

    def __init__(self, config: uvicorn.Config, drain: Drain, listen: Listen) -> None:
        super().__init__(config)
        self._drain = drain
        self._listen = listen

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        loop = asyncio.get_running_loop()
        if not self._drain.draining:
            self._drain.begin()
            loop.call_later(self._listen.drain_seconds, self._drain.expire)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:  # uvicorn's word for a lifespan that failed
            raise LifespanError("the application did not start") from error

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._listen.listens_while_draining:
            await self._until_idle()
        await super().shutdown(sockets)
        if self.lifespan.should_exit:
            raise LifespanError("the application did not shut down")

    async def _until_idle(self) -> None:
        tasks = self.server_state.tasks  # uvicorn's own, which has no event
        while tasks and not self._drain.expired and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signals it caught again at the end, which would kill the process
        # before its callers have closed what they hold; a drain that ended well exits with 0.
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class _Silent(uvicorn.Server):
    """A uvicorn server that leaves signals to somebody else."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, listen: Listen, *, lifespan: str) -> uvicorn.Config:
    drained = listen.listens_while_draining  # uvicorn's own shutdown begins when that is over
    return uvicorn.Config(
        app,
        http=limited_protocol(Limits(listen.stalled_write_seconds, listen.header_seconds)),
        lifespan=lifespan,  # type: ignore[arg-type]  # uvicorn's Literal, spelled by our callers
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(
            (0 if drained else listen.drain_seconds) + _LAST_WORDS_SECONDS
        ),
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind a socket for uvicorn; raise OSError when the port is taken.

    The protocol is named because asyncio sets TCP_NODELAY only where it is: without it every
    reply waits 40 ms for the reader's delayed acknowledgement, and tokens arrive in lumps.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


async def serve(app: ASGIApp, metrics_app: ASGIApp, listen: Listen, drain: Drain) -> None:
    """Serve until a signal, then drain.

    Raises OSError when a port is taken and LifespanError when the application's lifespan fails.
    """
    with contextlib.ExitStack() as open_sockets:  # uvicorn closes only those it got to serve
        bound = open_sockets.enter_context(listening_socket(listen.host, listen.port))
        server = _Server(_config(app, listen, lifespan="on"), drain, listen)
        if listen.metrics_port is None:
            await server.serve(sockets=[bound])
            return
        beside = open_sockets.enter_context(listening_socket(listen.host, listen.metrics_port))
        metrics = _Silent(_config(metrics_app, listen, lifespan="off"))
        serving = asyncio.create_task(metrics.serve(sockets=[beside]))
        try:
            await server.serve(sockets=[bound])
        finally:
            metrics.should_exit = True
            await serving
