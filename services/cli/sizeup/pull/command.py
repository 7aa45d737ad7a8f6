"""`sizeup pull`: one download with its console output, metrics and progress file."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from sizeup.ports import serving
from sizeup.pull.console_report import make_pull_report
from sizeup.pull.health import start_health
from sizeup.pull.metrics import start_metrics
from sizeup.pull.progress_file import ProgressFile
from sizeup.settings import Settings
from sizeup_store.errors import PullError
from sizeup_store.hub import HubOptions, token_file
from sizeup_store.progress import progress_path
from sizeup_store.pull import pull
from sizeup_store.pull_report import PullReport
from sizeup_telemetry.secret_files import exposure_warning


def run_pull(
    settings: Settings,
    console: Console,
    *,
    endpoint: str | None,
    model_id: str,
    revision: str,
    cache: Path,
    metrics_port: int | None,
    health_port: int | None,
    progress_file: bool,
) -> Path:
    """Return the snapshot once it is complete; raises PullError or PortInUseError."""
    if settings.umask is not None:
        os.umask(int(settings.umask, 8))
    hub = _hub_options(settings, endpoint)
    path = progress_path(model_id, revision, cache) if progress_file else None
    with make_pull_report(console) as report:
        if (file := token_file(hub)) and (warning := exposure_warning(file)):
            report.note(warning)
        progress = report.progress
        with (
            serving("--metrics-port", metrics_port, partial(start_metrics, model_id, progress)),
            serving("--health-port", health_port, partial(start_health, progress)),
            _progress_file(path, report),
        ):
            return pull(hub, model_id, revision, cache, report, offline=settings.hf_hub_offline)


def _hub_options(settings: Settings, endpoint: str | None) -> HubOptions:
    return HubOptions(
        endpoint=endpoint or settings.hf_endpoint,
        token=settings.hf_token.get_secret_value() if settings.hf_token else None,
        silence_seconds=settings.hub_seconds,
        attempts=settings.hub_attempts,
        backoff_seconds=settings.hub_backoff_seconds,
        ca_file=settings.ca_file,
    )


@contextmanager
def _progress_file(path: Path | None, report: PullReport) -> Iterator[None]:
    """Keep the progress in a file, if there is to be one; after a failure it states the reason."""
    if path is None:
        yield
        return
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
