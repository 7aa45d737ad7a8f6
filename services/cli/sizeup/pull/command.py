"""`sizeup pull`: one download with its console output, metrics and progress file."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sizeup.pull.console_report import make_pull_report
from sizeup.pull.health import serve_health
from sizeup.pull.metrics import PullMetrics, serve_metrics
from sizeup.pull.progress_file import ProgressFile
from sizeup.settings import Settings
from sizeup_store.errors import PullError
from sizeup_store.hub import HubOptions, token_file
from sizeup_store.progress import progress_path
from sizeup_store.pull import pull
from sizeup_store.pull_report import PullReport
from sizeup_telemetry.secret_files import exposure_warning


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What to download, from where, and how to report it."""

    hub: HubOptions
    model_id: str
    revision: str
    cache: Path
    offline: bool
    metrics_port: int | None
    health_port: int | None
    progress_file: bool
    umask: str | None
    """Octal."""


def hub_options(settings: Settings, endpoint: str | None) -> HubOptions:
    """Return the hub of the settings; an endpoint overrides theirs."""
    return HubOptions(
        endpoint=endpoint or settings.hf_endpoint,
        token=settings.hf_token.get_secret_value() if settings.hf_token else None,
        silence_seconds=settings.hub_seconds,
        attempts=settings.hub_attempts,
        backoff_seconds=settings.hub_backoff_seconds,
        ca_file=settings.ca_file,
    )


def run_pull(options: PullOptions, console: Console) -> Path:
    """Return the snapshot once it is complete; raises PullError or PortInUseError."""
    if options.umask is not None:
        os.umask(int(options.umask, 8))
    with make_pull_report(console) as report:
        if (file := token_file(options.hub)) and (warning := exposure_warning(file)):
            report.note(warning)
        metrics = PullMetrics(options.model_id, report.progress)
        with (
            serve_metrics(metrics, options.metrics_port),
            serve_health(report.progress, options.health_port),
            _progress_file(options, report),
        ):
            return pull(
                options.hub,
                options.model_id,
                options.revision,
                options.cache,
                report,
                offline=options.offline,
            )


@contextmanager
def _progress_file(options: PullOptions, report: PullReport) -> Iterator[None]:
    """Keep the progress in a file, if requested; after a failure it states the reason."""
    if not options.progress_file:
        yield
        return
    path = progress_path(options.model_id, options.revision, options.cache)
    file = ProgressFile(path, time.monotonic)
    report.watchers.append(file.write)
    try:
        with file.beating(report.progress):
            yield
    except PullError as error:
        file.fail(report.progress, str(error))
        raise
    except BaseException:  # SIGTERM and Ctrl-C end the download, too
        file.fail(report.progress, "the download was stopped")
        raise
    file.remove()
