"""Executes a run: config and plan in, a folder with results and reports out."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console

from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.analysis.validity import UNTIL_EOS
from sizeup_loadtest.client.adaptation import adaptations
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.results import ServerResult
from sizeup_loadtest.errors import BenchError, FolderError
from sizeup_loadtest.execution import client_environment
from sizeup_loadtest.execution.phases import PHASES, Phase
from sizeup_loadtest.execution.progress import estimate
from sizeup_loadtest.execution.progress.console import run_console
from sizeup_loadtest.execution.progress.live_view import LiveView
from sizeup_loadtest.execution.progress.time_left import TimeLeft
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.client_lag import sample_loop_lag
from sizeup_loadtest.execution.sending.clock import Clock
from sizeup_loadtest.execution.sending.worker_pool import WorkerError, WorkerPool
from sizeup_loadtest.execution.servers import server_info
from sizeup_loadtest.execution.servers.server_metrics import ServerMetricsSampler, sources
from sizeup_loadtest.report import files, terminal
from sizeup_loadtest.storage import job_log
from sizeup_loadtest.storage.run_folder import RunFolder, RunInfo
from sizeup_loadtest.workload import prompts, schedule
from sizeup_loadtest.workload.schedule import Plan


class InvalidRunError(BenchError):
    """The run, or one of its models, is invalid."""

    exit_code = 3


class StoppedError(BenchError):
    """The run was stopped by a signal."""

    exit_code = 130


def start(config: Config, out: Path, workers: int = 1, print_files: bool = False) -> None:
    """Run the phases that the config enables, and report the results.

    `workers` processes send. `print_files` prints the run's files to standard output, for a Job
    whose log is its only storage. Raises InvalidRunError, after writing everything, when results
    are invalid.
    """
    console = run_console()
    schedule.compile_plan(config, prompts.source(config.prompts))  # mistakes before any request
    client_environment.raise_file_limit(_users(config))
    error: BenchError | None = None
    with asyncio.Runner() as loop:  # one for both: connections over TLS take a while to close
        config = loop.run(server_info.connect(config))
        if config.ollama_models and config.length != "until_eos":
            console.print(f"note: {UNTIL_EOS}", soft_wrap=True)
        plan = schedule.compile_plan(config, prompts.source(config.prompts))
        folder = RunFolder.create(out)
        try:
            loop.run(execute(config, plan, PHASES, folder, console, workers))
        except (StoppedError, FolderError, WorkerError) as ended:
            error = ended
    try:
        finish(folder, console)
    except (FolderError, InvalidRunError) as later:
        error = error or later  # that a run is invalid does not hide why it ended
    finally:
        # Also of an invalid run: its report has the reason.
        if print_files:
            _print_files(folder)
    console.print(f"Run folder: {out}", soft_wrap=True)
    if error is not None:
        raise error


def finish(folder: RunFolder, console: Console) -> None:
    """Compute the results of a folder, print and report them; InvalidRunError when invalid.

    They are printed first, because a full disk has no room for them.
    """
    results = assemble(folder)
    terminal.show(results, console)
    folder.write_json("results", results)
    for file in files.write(folder, results):
        console.print(f"report: {file}", soft_wrap=True)
    invalid = [f"{m.name}: {m.invalid_reason}" for m in results.models if m.invalid_reason]
    if problems := results.validity.reasons or invalid:
        raise InvalidRunError("; ".join(problems))


def _users(config: Config) -> int:
    """Return the most concurrent requests that the config names."""
    return max(*config.load.closed, config.ability.concurrency if config.ability.enabled else 1, 1)


def _print_files(folder: RunFolder) -> None:
    for file in sorted(path for path in folder.path.iterdir() if path.is_file()):
        for line in job_log.encode(file.name, file.read_bytes()):
            print(line)
    sys.stdout.flush()


async def execute(
    config: Config,
    plan: Plan,
    phases: Sequence[Phase],
    folder: RunFolder,
    console: Console,
    workers: int = 1,
) -> None:
    """Run phases in order; afterwards the folder has everything but results.

    On SIGTERM or SIGINT, keeps what was measured and raises StoppedError.
    """
    clock = Clock()
    # Now: reading it takes a file, and later there may be none left to open.
    software, version = client_environment.environment(), metadata.version("sizeup-loadtest")
    folder.begin(config, plan)
    started = datetime.now(UTC)
    expected = estimate.phases(config, plan, estimate.ASSUMED_TOK_S)
    planned = {phase.name: expected[phase.name] for phase in phases if phase.name in expected}
    budget = config.limits.budget_minutes
    time = TimeLeft(planned, config.limits.max_minutes * 60, budgeted=budget is not None)
    view = LiveView(console, [m.name for m in config.models], config.slo, time, clock)
    client = Client(config.servers, config.sampling, clock)
    complete = False
    with folder.recorder() as recorder:
        async with client, sample_loop_lag(clock) as lag:
            metrics = ServerMetricsSampler(sources(config))
            run = Run(config, plan, client, clock, folder, recorder, view, console, lag, metrics)
            try:
                with view:
                    async with AsyncExitStack() as processes:
                        if workers > 1:
                            pool = WorkerPool(config, workers, clock, run, lag)
                            run.workers = await processes.enter_async_context(pool)
                        await _run_phases(run, phases)
                complete = True
            finally:
                await client.close()  # its connections are files, of which there may be none left
                folder.write_json("run", _info(run, version, software, started, complete))


async def _run_phases(run: Run, phases: Sequence[Phase]) -> None:
    async with _stop_on_signals():
        enabled = [phase for phase in phases if phase.enabled(run.config)]
        for place, phase in enumerate(enabled, 1):
            run.begin_phase(phase.name, [later.name for later in enabled[place:]])
            run.view.began_phase(phase.name)
            await phase.run(run)


@asynccontextmanager
async def _stop_on_signals() -> AsyncIterator[None]:
    """Turn SIGINT and SIGTERM during the block into StoppedError."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[str] = []

    def stop(name: str) -> None:
        received.append(name)
        if task is not None:
            task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop, number.name)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise StoppedError(f"stopped by {received[0]}; completed measurements are kept") from None
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _info(
    run: Run, version: str, software: Mapping[str, str], started: datetime, complete: bool
) -> RunInfo:
    return RunInfo(
        tool_version=version,
        started_at=started.isoformat(timespec="seconds"),
        seconds=(datetime.now(UTC) - started).total_seconds(),
        environment=software,
        loop_lag=run.lag.lag(),
        stage_lag=run.lag.stages(),
        server_metrics=run.server_metrics.stages(),
        model_info=run.model_info,
        servers={
            name: ServerResult(url=s.url, model=s.model, api=s.api, adaptations=adaptations(s))
            for name, s in run.client.servers.items()
        },
        load_seconds=run.load_seconds,
        invalid_models=run.invalid_models,
        complete=complete,
        notes=tuple(run.notes),
        share_done=None if complete else run.view.share_done,
    )
