"""Executes a run: config and plan in, a folder with results and reports out."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import api_key
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.errors import BenchError, ConfigError
from sizeup_loadtest.execution import server_info
from sizeup_loadtest.execution.client_environment import environment, tool_version
from sizeup_loadtest.execution.client_lag import LoopLagSampler, sample_loop_lag
from sizeup_loadtest.execution.clock import Clock
from sizeup_loadtest.execution.live_view import LiveView
from sizeup_loadtest.execution.phases import PHASES, Phase
from sizeup_loadtest.execution.run import Run, ShardOptions
from sizeup_loadtest.execution.server_metrics import ServerMetricsSampler, metrics_urls
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


def start(
    config: Config, out: Path, options: ShardOptions, names: Collection[str] | None = None
) -> None:
    """Run the phases with these names, or all that the config enables, and report the results.

    Raises InvalidRunError, after writing everything, when results are invalid.
    """
    console = Console()
    plan = schedule.compile_plan(config, prompts.source(config.prompts))
    folder = RunFolder.create(out)
    phases = [phase for phase in PHASES if names is None or phase.name in names]
    stopped: StoppedError | None = None
    try:
        asyncio.run(execute(config, plan, phases, folder, console, options))
    except StoppedError as error:
        stopped = error
    try:
        if options.shard.count == 1:
            finish(folder, console)
    finally:
        # Also of an invalid run: its report has the reason.
        if options.print_files:
            _print_files(folder)
    console.print(f"Run folder: {out}", soft_wrap=True)
    if stopped is not None:
        raise stopped


def finish(folder: RunFolder, console: Console) -> None:
    """Compute the results of a folder, print and report them; InvalidRunError when invalid."""
    results = write_results(folder)
    terminal.show(results, console)
    for file in files.write(folder, results):
        console.print(f"report: {file}", soft_wrap=True)
    invalid = [f"{m.name}: {m.invalid_reason}" for m in results.models if m.invalid_reason]
    if problems := results.validity.reasons or invalid:
        raise InvalidRunError("; ".join(problems))


def write_results(folder: RunFolder) -> Results:
    """Compute results.json from the other files of a folder."""
    results = assemble(folder)
    folder.write_json("results", results)
    return results


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
    options: ShardOptions,
) -> None:
    """Run phases in order; afterwards the folder has everything but results.

    On SIGTERM or SIGINT, keeps what was measured and raises StoppedError.
    """
    if options.shard.count > 1 and config.load.stage_seconds is None:
        raise ConfigError("load.stage_seconds: required with several shards, to keep them in step")
    clock, shard = Clock(options.start_at), options.shard
    key = api_key(config.target.api_key_env)
    folder.begin(config, plan)
    started = datetime.now(UTC)
    view = LiveView(console, [m.name for m in config.models], plan.requests, config.slo)
    client = Client(config.target, config.sampling, clock, key=key, shard=shard.index)
    complete = False
    with folder.recorder() as recorder:
        async with client, sample_loop_lag(clock) as lag:
            metrics = ServerMetricsSampler(metrics_urls(config))
            run = Run(
                config, plan, client, clock, folder, recorder, view, console, shard, lag, metrics
            )  # fmt: skip
            try:
                with view:
                    await server_info.check_models(client.session, config.target.url, run.models)
                    await _run_phases(run, phases)
                complete = True
            finally:
                folder.write_json("run", _info(run, lag, started, complete))


async def _run_phases(run: Run, phases: Sequence[Phase]) -> None:
    async with _stop_on_signals():
        for phase in phases:
            if phase.enabled(run.config) and (run.shard.count == 1 or phase.sharded):
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


def _info(run: Run, lag: LoopLagSampler, started: datetime, complete: bool) -> RunInfo:
    return RunInfo(
        tool_version=tool_version(),
        started_at=started.isoformat(timespec="seconds"),
        seconds=(datetime.now(UTC) - started).total_seconds(),
        environment=environment(),
        loop_lag=lag.lag(),
        stage_lag=lag.stages(),
        server_metrics=run.server_metrics.stages(),
        model_info=run.model_info,
        load_seconds=run.load_seconds,
        invalid_models=run.invalid_models,
        shards=run.shard.count,
        complete=complete,
    )
