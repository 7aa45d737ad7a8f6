"""Start a run from a command line: config, plan, folder, phases, results."""

import asyncio
import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from sizeup_loadtest import joblog, phases, prompts, schedule, summary
from sizeup_loadtest.assemble import assemble
from sizeup_loadtest.config import Config
from sizeup_loadtest.errors import BenchError
from sizeup_loadtest.options import Together
from sizeup_loadtest.results import Results
from sizeup_loadtest.rundir import RunFolder
from sizeup_loadtest.running import Place, StoppedError, execute


class InvalidRunError(BenchError):
    """Figures of the run, or of one of its sizes, are not to be trusted."""

    exit_code = 3


def start(
    config: Config, out: Path, together: Together, wanted: Collection[str] | None = None
) -> None:
    """Run the phases that are wanted, or all the config enables, and show what was found.

    Raises InvalidRunError after everything has been written, when the figures are not valid.
    """
    console = Console()
    plan = schedule.compile(config, prompts.source(config.prompts))
    folder = RunFolder.create(out)
    place = Place(folder, console, together.shard, together.start_at)
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
        for line in joblog.lines(file.name, file.read_bytes()):
            print(line)
    sys.stdout.flush()


def finish(folder: RunFolder, console: Console) -> None:
    """Make a folder's results, show and report them; InvalidRunError when some are not valid."""
    results = write_results(folder)
    summary.show(results, console)
    for finisher in phases.finishers():
        for file in finisher.run(folder, results):
            console.print(f"{finisher.name}: {file}", soft_wrap=True)
    broken = [f"{m.name} is broken: {m.broken}" for m in results.models if m.broken]
    if problems := results.validity.reasons or broken:
        raise InvalidRunError("; ".join(problems))


def write_results(folder: RunFolder) -> Results:
    """Make results.json from what a folder holds."""
    results = assemble(folder)
    folder.write_piece("results", results)
    return results
