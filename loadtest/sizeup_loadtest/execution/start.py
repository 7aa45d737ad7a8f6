"""Start a run from a command line: config, plan, folder, phases, results."""

import asyncio
import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from sizeup_loadtest import phases
from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.errors import BenchError
from sizeup_loadtest.execution.run import RunOptions, StoppedError, execute
from sizeup_loadtest.options import ShardOptions
from sizeup_loadtest.report import terminal
from sizeup_loadtest.storage import job_log
from sizeup_loadtest.storage.run_folder import RunFolder
from sizeup_loadtest.workload import prompts, schedule


class InvalidRunError(BenchError):
    """Figures of the run, or of one of its sizes, are not to be trusted."""

    exit_code = 3


def start(
    config: Config, out: Path, together: ShardOptions, wanted: Collection[str] | None = None
) -> None:
    """Run the phases that are wanted, or all the config enables, and show what was found.

    Raises InvalidRunError after everything has been written, when the figures are not valid.
    """
    console = Console()
    plan = schedule.compile_plan(config, prompts.source(config.prompts))
    folder = RunFolder.create(out)
    place = RunOptions(folder, console, together.shard, together.start_at)
    stopped: StoppedError | None = None
    try:
        asyncio.run(execute(config, plan, phases.find(wanted), place))
    except StoppedError as error:
        stopped = error
    try:
        if together.shard.count == 1:
            finish(folder, console)
    finally:
        # Of an invalid run too: its page says why.
        if together.print_files:
            _print_files(folder)
    console.print(f"everything is in {out}", soft_wrap=True)
    if stopped is not None:
        raise stopped


def _print_files(folder: RunFolder) -> None:
    for file in sorted(path for path in folder.path.iterdir() if path.is_file()):
        for line in job_log.lines(file.name, file.read_bytes()):
            print(line)
    sys.stdout.flush()


def finish(folder: RunFolder, console: Console) -> None:
    """Make a folder's results, show and report them; InvalidRunError when some are not valid."""
    results = write_results(folder)
    terminal.show(results, console)
    for finisher in phases.finishers():
        for file in finisher.run(folder, results):
            console.print(f"{finisher.name}: {file}", soft_wrap=True)
    broken = [f"{m.name} is broken: {m.broken}" for m in results.models if m.broken]
    if problems := results.validity.reasons or broken:
        raise InvalidRunError("; ".join(problems))


def write_results(folder: RunFolder) -> Results:
    """Make results.json from what a folder holds."""
    results = assemble(folder)
    folder.write_json("results", results)
    return results
