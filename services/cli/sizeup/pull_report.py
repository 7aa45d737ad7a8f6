"""What `pull` shows: a bar per file on a terminal, a line now and then elsewhere."""

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

from sizeup.hub.progress import CountingReport, Pace, PullProgress

_LINE_SECONDS = 5.0
"""A log of a day's download stays below 20 000 lines."""


class PlainPullReport(CountingReport):
    """Lines for logs and pipes: at most one about bytes, and one about failures, in 5 seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Print to a console."""
        super().__init__()
        self._console = console
        self._clock = clock
        self._lines, self._failures = Pace(_LINE_SECONDS), Pace(_LINE_SECONDS)
        self._shown_at, self._shown_received = clock(), 0
        self._lines.is_due(self._shown_at)  # a small model needs no line
        self.watchers.append(self._show)

    def note(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def plan(self, files: int, size: int) -> None:
        """Print what there is to do."""
        super().plan(files, size)
        here = self.progress
        self.note(
            f"{files} files, {_gib(size)} GiB; {here.files_kept} files, "
            f"{_gib(here.size_kept)} GiB are here"
        )

    def file(self, name: str, size: int) -> None:
        """Print what begins."""
        super().file(name, size)
        self.note(f"{name} ({size / 2**20:,.1f} MiB)")

    def retry(self, reason: str) -> None:
        """Print why it takes longer."""
        super().retry(reason)
        if self._failures.is_due(self._clock()):
            self.note(f"trying again: {reason}")

    def _show(self, here: PullProgress) -> None:
        """Print how far the whole is, and how fast it was since the line before."""
        now = self._clock()
        if not here.size or not self._lines.is_due(now):
            return
        rate = (here.received - self._shown_received) / (now - self._shown_at)
        self._shown_at, self._shown_received = now, here.received
        self.note(
            f"{_gib(here.here)} of {_gib(here.size)} GiB ({here.share:.0%}), "
            f"{rate / 2**20:,.1f} MiB/s"
        )


class BarPullReport(CountingReport):
    """A bar for each file, for people."""

    def __init__(self, console: Console, bars: Progress) -> None:
        """Draw on bars that the caller starts and stops."""
        super().__init__()
        self._console = console
        self._bars = bars
        self._task: TaskID | None = None
        self.watchers.append(self._move)

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def file(self, name: str, size: int) -> None:
        """Begin a bar."""
        self._task = self._bars.add_task(name, total=size)
        super().file(name, size)

    def _move(self, here: PullProgress) -> None:
        if self._task is not None and here.partial:
            self._bars.update(self._task, completed=here.partial)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f}"


@contextmanager
def make_pull_report(console: Console) -> Iterator[CountingReport]:
    """Give the report that suits the console, for one pull."""
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
