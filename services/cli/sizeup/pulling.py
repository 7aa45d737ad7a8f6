"""`sizeup pull`: one download with everything that shows it, for a person or for a Job."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sizeup.errors import SizeupError
from sizeup.hub.client import Hub
from sizeup.hub.metrics import PullMetrics, served
from sizeup.hub.progress import CountingReport, ProgressFile
from sizeup.hub.pull import pull
from sizeup.pull_report import make_pull_report
from sizeup_store.progress import progress_path


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What is downloaded, from where, and who is told."""

    hub: Hub
    model_id: str
    revision: str
    cache: Path
    offline: bool
    metrics_port: int | None
    progress_file: bool
    umask: str | None
    """Octal."""


def run_pull(options: PullOptions, console: Console) -> Path:
    """Return the snapshot once it is complete; raises SizeupError."""
    if options.umask is not None:
        os.umask(int(options.umask, 8))
    with make_pull_report(console) as report:
        metrics = PullMetrics(options.model_id, report.progress)
        with served(metrics, options.metrics_port), _left_beside_the_model(options, report):
            work = pull(
                options.hub,
                options.model_id,
                options.revision,
                options.cache,
                report,
                offline=options.offline,
            )
            return asyncio.run(work)


@contextmanager
def _left_beside_the_model(options: PullOptions, report: CountingReport) -> Iterator[None]:
    """Keep the progress in a file, if asked to, and the reason if there is no model at the end."""
    if not options.progress_file:
        yield
        return
    path = progress_path(options.model_id, options.revision, options.cache)
    file = ProgressFile(path, time.monotonic)
    report.watchers.append(file.write)
    try:
        with file.beating(report.progress):
            yield
    except SizeupError as error:
        file.fail(report.progress, str(error))
        raise
    except BaseException:  # SIGTERM and Ctrl-C are no errors, but nothing comes any more
        file.fail(report.progress, "the download was stopped")
        raise
    file.remove()
