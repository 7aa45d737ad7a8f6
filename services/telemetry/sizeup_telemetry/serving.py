"""Run an ASGI application and its metrics port, with graceful shutdown."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from sizeup_telemetry.drain import Drain
from sizeup_telemetry.http.backlog import Backlog
from sizeup_telemetry.http.connections import Connections
from sizeup_telemetry.http.descriptors import accepted_at_once, connections_within, raise_limit
from sizeup_telemetry.http.limits import Limits
from sizeup_telemetry.http.protocol import LimitedProtocol, limited_protocol
from sizeup_telemetry.http.refusal import Refuse, json_refusal

_FINAL_ERROR_SECONDS = 2.0
"""After the drain deadline, streams get this long to write their error and close."""

_METRICS_CONNECTIONS = 16
"""Prometheus has one, and a person with curl another."""

_LISTEN_BACKLOG = 2048
"""Connections that the kernel keeps until they are accepted; uvicorn's default."""

_DRAIN_POLL_SECONDS = 0.05
"""Negligible beside the 0.1 s uvicorn takes to notice a signal."""


class LifespanError(RuntimeError):
    """The application failed to start or shut down; the cause is logged."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to serve; port 0 binds a free port."""

    host: str
    port: int
    metrics_port: int | None
    """Additional port for the metrics application; None disables it."""
    drain_seconds: float
    stalled_write_seconds: float = 60.0
    header_seconds: float = 10.0
    """Deadline for the headers of a request; slow mobile networks need less."""
    idle_connection_seconds: int = 75
    """Close a connection without requests after this long. nginx's value: a load balancer must be
    the first to close, and those of clouds do after 60 s. It takes 10 KB of memory."""
    max_connections: int = 8192
    """Fewer where the limit of open files requires it. 80 MB of memory while all are idle."""
    listens_while_draining: bool = False
    """Accept connections until all running requests have ended or the drain deadline has passed."""


class _Server(uvicorn.Server):
    """A uvicorn server that begins a Drain on SIGTERM and SIGINT."""

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
        except SystemExit as error:  # how uvicorn reports a failed lifespan
            raise LifespanError("the application did not start") from error
        for one in sockets or ():
            one.listen(_LISTEN_BACKLOG)  # asyncio has set that of the kernel to its own
        exempt_from_collection()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._listen.listens_while_draining:
            await self._until_idle()
        await super().shutdown(sockets)
        if self.lifespan.should_exit:
            raise LifespanError("the application did not shut down")

    async def _until_idle(self) -> None:
        tasks = self.server_state.tasks  # uvicorn offers no event for it
        while tasks and not self._drain.expired and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn re-raises captured signals at the end, which would kill the process before its
        # callers have released their resources; a completed drain exits with 0.
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def exempt_from_collection() -> None:
    """Exempt what exists from further garbage collections.

    Imports leave some 500,000 objects. A full collection visits all of them, and stops every thread
    for a tenth of a second, several times a minute under load.
    """
    gc.collect()
    gc.freeze()


class _WithoutSignals(uvicorn.Server):
    """A uvicorn server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(
    app: ASGIApp, listen: Listen, protocol: type[LimitedProtocol], *, lifespan: str
) -> uvicorn.Config:
    drained = listen.listens_while_draining  # uvicorn's shutdown starts after our drain
    return uvicorn.Config(
        app,
        http=protocol,
        backlog=accepted_at_once(protocol.open_connections.limit),
        lifespan=lifespan,  # type: ignore[arg-type]  # uvicorn declares a Literal
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a client on the same machine could send them, and be any address
        ws="none",
        timeout_keep_alive=listen.idle_connection_seconds,
        timeout_graceful_shutdown=round(
            (0 if drained else listen.drain_seconds) + _FINAL_ERROR_SECONDS
        ),
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind a socket for uvicorn, for `::` to the addresses of both families.

    Raises OSError if the port is in use.

    The protocol is explicit because asyncio sets TCP_NODELAY only then: without it every write
    waits 40 ms for the client's delayed ACK, and tokens arrive in bursts.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # whatever the machine's default is
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


async def serve(
    app: ASGIApp,
    metrics_app: ASGIApp,
    listen: Listen,
    drain: Drain,
    refuse: Refuse = json_refusal,
    backlog: Backlog | None = None,
) -> None:
    """Serve until a signal, then drain; `refuse` responds to what does not reach `app`.

    `backlog` bounds the requests that wait for the event loop.

    Raises OSError if a port is in use and LifespanError if the lifespan fails.
    """
    connections = min(listen.max_connections, connections_within(raise_limit()))
    with contextlib.ExitStack() as open_sockets:  # uvicorn closes only sockets it has served
        bound = open_sockets.enter_context(listening_socket(listen.host, listen.port))
        limits = Limits(listen.stalled_write_seconds, listen.header_seconds)
        protocol = limited_protocol(limits, refuse, Connections(connections), backlog)
        server = _Server(_config(app, listen, protocol, lifespan="on"), drain, listen)
        if listen.metrics_port is None:
            await server.serve(sockets=[bound])
            return
        beside = open_sockets.enter_context(listening_socket(listen.host, listen.metrics_port))
        own = limited_protocol(limits, json_refusal, Connections(_METRICS_CONNECTIONS))
        config = _config(metrics_app, listen, own, lifespan="off")
        metrics = _WithoutSignals(config)
        serving = asyncio.create_task(metrics.serve(sockets=[beside]))
        try:
            await server.serve(sockets=[bound])
        finally:
            metrics.should_exit = True
            await serving
