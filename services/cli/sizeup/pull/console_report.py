"""Console output of `pull`: a progress bar per file on a terminal, periodic lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sizeup.pull.throttle import Throttle
from sizeup_store.pull_report import PullProgress, PullReport

_LINE_SECONDS = 5.0
"""The log of a download that takes a day stays below 20 000 lines."""


class PlainPullReport(PullReport):
    """Lines for logs and pipes: at most one of progress and one of failures in 5 seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._console = console
        self._clock = clock
        self._lines, self._failures = Throttle(_LINE_SECONDS), Throttle(_LINE_SECONDS)
        self._shown_at, self._shown_received = clock(), 0
        self._lines.is_due(self._shown_at)  # no progress line in the first 5 seconds
        self.watchers.append(self._show)

    def note(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def plan(self, files: int, size: int) -> None:
        super().plan(files, size)
        now = self.progress
        self.note(
            f"{files} files, {_gib(size)} GiB; already downloaded: {now.files_verified} files, "
            f"{_gib(now.size_verified)} GiB"
        )

    def file(self, name: str, size: int) -> None:
        super().file(name, size)
        self.note(f"{name} ({size / 2**20:,.1f} MiB)")

    def retry(self, reason: str) -> None:
        super().retry(reason)
        if self._failures.is_due(self._clock()):
            self.note(f"retrying: {reason}")

    def _show(self, progress: PullProgress) -> None:
        """Print the progress, and the rate since the line before."""
        now = self._clock()
        if not progress.size or not self._lines.is_due(now):
            return
        rate = (progress.received - self._shown_received) / (now - self._shown_at)
        self._shown_at, self._shown_received = now, progress.received
        self.note(
            f"{_gib(progress.downloaded)} of {_gib(progress.size)} GiB ({progress.fraction:.0%}), "
            f"{rate / 2**20:,.1f} MiB/s"
        )


class BarPullReport(PullReport):
    """A progress bar for each file."""

    def __init__(self, console: Console, bars: Progress) -> None:
        """The caller starts and stops the bars."""
        super().__init__()
        self._console = console
        self._bars = bars
        self._task: TaskID | None = None
        self.watchers.append(self._move)

    def note(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def file(self, name: str, size: int) -> None:
        self._task = self._bars.add_task(name, total=size)
        super().file(name, size)

    def _move(self, progress: PullProgress) -> None:
        if self._task is not None and progress.partial:
            self._bars.update(self._task, completed=progress.partial)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f}"


@contextmanager
def make_pull_report(console: Console) -> Iterator[PullReport]:
    if not console.is_terminal:
        yield PlainPullReport(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield BarPullReport(console, bars)
