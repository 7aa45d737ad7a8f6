"""`sizeup up`: the gateway and one inference process per model, as child processes."""

import asyncio
import contextlib
import importlib.util
import signal
import tempfile
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from sizeup.deployment import process, readiness
from sizeup.deployment.describe import describe_models
from sizeup.deployment.fork_client import ForkServer, can_fork
from sizeup.deployment.plan import (
    Options,
    keys_file_warning,
    plan_gateway,
    plan_inference,
    scale_name,
    shared_environment,
    write_catalog,
)
from sizeup.deployment.process import Command
from sizeup.deployment.report import Report, example_commands, make_report, models_table
from sizeup.deployment.scale_server import scale_server, socket_path
from sizeup.deployment.supervisor import Start, Supervisor, stop_in_order
from sizeup.errors import ChildFailedError, UsageError
from sizeup.models.local_models import LocalModel
from sizeup.ports import free_loopback_ports, require_free
from sizeup_store.weights import WeightsError, check_structure
from sizeup_wire.model import ModelInfo

_KILL_AFTER_SECONDS = 5.0
"""After the drain: a service takes 2 s to end its streams, and Python has to exit."""
_KILLED_EXIT_CODE = 130
"""The shell's code for Ctrl-C: responses were interrupted."""
_INFO_ATTEMPTS = 5
"""A process that was ready and fails five times is broken, not restarting."""


class Interrupts:
    """Signals: the first requests a drain, the second an immediate stop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()

    def receive(self) -> None:
        (self.now if self.stop.is_set() else self.stop).set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup
            numbers.append(signal.SIGHUP)
        loop = asyncio.get_running_loop()
        for number in numbers:
            loop.add_signal_handler(number, self.receive)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def check_startable(models: Sequence[LocalModel], options: Options) -> None:
    """Raise UsageError or PortInUseError before any process is started."""
    if not models:
        raise UsageError("no model to serve")
    _require_installed("sizeup_gateway", *(["torch"] if options.engine == "transformers" else []))
    _require_distinct_names(models)
    drafts = [model.draft for model in models if model.draft is not None]
    for model in (*models, *drafts):
        try:
            check_structure(model.folder)
        except WeightsError as error:
            raise UsageError(str(error)) from error
    require_free(options.host, options.port)


def _require_installed(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"{module} is not installed: pip install sizeup[local]")


def _require_distinct_names(models: Sequence[LocalModel]) -> None:
    taken: dict[str, str] = {}
    for model in models:
        for name in (model.key, *model.entry.names, model.entry.id):
            other = taken.setdefault(name.lower(), model.model)
            if other != model.model:
                raise UsageError(f"{other} and {model.model} have the same name: {name}")


def log_folder(parent: Path, port: int) -> Path:
    """Make the folder of the children's logs; a temporary one if the parent is read-only."""
    folder = parent / str(port)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="sizeup-logs-"))


async def serve_until_signal(
    models: Sequence[LocalModel], options: Options, console: Console
) -> int:
    """Serve until a signal; return the exit code. Raises ChildFailedError."""
    report = make_report(console)
    interrupts = Interrupts()
    try:
        with (
            interrupts.installed(),
            tempfile.TemporaryDirectory(prefix="sizeup-") as private,  # mode 0700
        ):
            report.note(f"logs: {options.log_dir}")
            if warning := keys_file_warning(options.environment):
                report.note(warning)
            with socket_path(Path(private)) as scale_socket:
                async with aiohttp.ClientSession() as session:
                    catalog = Path(private) / "catalog.yaml"
                    deployment = LocalDeployment(
                        models, options, catalog, scale_socket, report, session
                    )
                    return await deployment.serve(interrupts, console)
    finally:
        report.finish()


class LocalDeployment:
    """The processes of one `up`."""

    def __init__(
        self,
        models: Sequence[LocalModel],
        options: Options,
        catalog: Path,
        scale_socket: Path,
        report: Report,
        session: aiohttp.ClientSession,
    ) -> None:
        """Plan every process; ports stay the same. Only the user may use catalog and socket."""
        self._models = models
        self._options = options
        self._catalog = catalog
        self._scale_socket = scale_socket
        self._report = report
        self._session = session
        ports = free_loopback_ports(len(models))
        self._inference = [
            plan_inference(model, port, options) for model, port in zip(models, ports, strict=True)
        ]
        gateway = plan_gateway(catalog, scale_socket, options)
        self._fork_server = _make_fork_server(options)
        start = self._fork_server.start if self._fork_server else process.start
        self._backends = [self._supervise(command, start) for command in self._inference]
        self._gateway = self._supervise(gateway, process.start)

    def _supervise(self, command: Command, start: Start) -> Supervisor:
        async def probe() -> readiness.Progress:
            return await readiness.probe(self._session, command.url)

        return Supervisor(command, probe, self._report, self._options.restart, start)

    async def serve(self, interrupts: Interrupts, console: Console) -> int:
        """Run until a signal or until a child is given up; then stop everything."""
        scales = {scale_name(i): supervisor for i, supervisor in enumerate(self._backends)}
        async with scale_server(self._scale_socket, scales, self._stop_seconds):
            return await self._serve(interrupts, console)

    async def _serve(self, interrupts: Interrupts, console: Console) -> int:
        running = _tasks((*(s.run() for s in self._backends), self._run_gateway()))
        tasks = _tasks((self._announce(console), interrupts.stop.wait()))
        announcing, stopping = tasks
        try:
            await until_end(stopping, announcing, *running)
            self._report.finish()
            self._report.note("draining; press Ctrl-C again to stop at once")
            return await self._stop(interrupts)
        finally:
            await self._end(running, tasks)

    async def _run_gateway(self) -> None:
        infos = await describe_models(self._models, self._options)
        write_catalog(self._catalog, self._models, self._inference, infos)
        await self._gateway.run()

    @property
    def _stop_seconds(self) -> float:
        """Time for a process to drain and exit, after which it is killed."""
        return self._options.drain_seconds + _KILL_AFTER_SECONDS

    async def _announce(self, console: Console) -> None:
        """When everything is ready, print the models and example commands."""
        children = zip(self._backends, self._inference, strict=True)
        infos = await asyncio.gather(*(self._info(s, command) for s, command in children))
        await self._gateway.ready.wait()
        await readiness.until_routed(self._session, self._options.local_url, self._loaded)
        self._report.finish()
        console.print(models_table(self._models, infos))
        for line in example_commands(self._models[-1], infos[-1], self._options):
            self._report.note(line)
        self._report.note("press Ctrl-C to stop")

    async def _info(self, supervisor: Supervisor, command: Command) -> ModelInfo:
        """Return the model of a child once it is ready, with retries when it exits meanwhile."""
        for _ in range(_INFO_ATTEMPTS - 1):
            await supervisor.ready.wait()
            with contextlib.suppress(ChildFailedError):
                return await readiness.model_info(self._session, command.url)
            await asyncio.sleep(1.0)
        await supervisor.ready.wait()
        return await readiness.model_info(self._session, command.url)

    def _loaded(self) -> Sequence[str]:
        """Return the keys of the models that are ready; a client may have unloaded others."""
        return [s.name for s in self._backends if s.wanted and s.ready.is_set()]

    async def _stop(self, interrupts: Interrupts) -> int:
        stopping = stop_in_order(((self._gateway,), self._backends), self._stop_seconds)
        draining, killing = _tasks((stopping, interrupts.now.wait()))
        try:
            await asyncio.wait((draining, killing), return_when=asyncio.FIRST_COMPLETED)
            return _KILLED_EXIT_CODE if killing.done() else 0
        finally:
            await _cancel(draining, killing)

    async def _end(
        self, running: Sequence[asyncio.Task[Any]], tasks: Sequence[asyncio.Task[Any]]
    ) -> None:
        for supervisor in (self._gateway, *self._backends):
            supervisor.kill()
        if self._fork_server:
            await self._fork_server.close()
        await asyncio.gather(*running, return_exceptions=True)
        await _cancel(*tasks)


def _make_fork_server(options: Options) -> ForkServer | None:
    """Return a fork server, if one works here.

    Its children share the memory of their imports, and one that died is replaced without them.
    """
    if options.engine != "transformers" or not can_fork():
        return None
    log_path = options.log_dir / "fork-server.log"
    module, environment = "sizeup_inference", shared_environment(options)
    return ForkServer(module, f"{module}.shared_imports", environment, log_path)


async def until_end(stopping: asyncio.Task[Any], *others: asyncio.Task[Any]) -> None:
    """Wait for the signal; raise the first error of the others, in their order if at once."""
    pending = {stopping, *others}
    while stopping in pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            if task in done:
                task.result()


def _tasks(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
