"""What `pull` shows: a bar per file on a terminal, a line per file elsewhere."""

from collections.abc import Iterator
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

from sizeup.hub.pull import PullReport


class PlainPullReport:
    """Lines for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Print to a console."""
        self._console = console

    def note(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def file(self, name: str, size: int) -> None:
        """Print what begins."""
        self.note(f"{name} ({size / 2**20:,.1f} MiB)")

    def advance(self, size: int) -> None:
        """Print nothing: a log needs no motion."""


class BarPullReport(PlainPullReport):
    """A bar for each file."""

    def __init__(self, console: Console, bars: Progress) -> None:
        """Draw on bars that the caller starts and stops."""
        super().__init__(console)
        self._bars = bars
        self._task: TaskID | None = None

    def file(self, name: str, size: int) -> None:
        """Begin a bar."""
        self._task = self._bars.add_task(name, total=size)

    def advance(self, size: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, advance=size)


@contextmanager
def make_pull_report(console: Console) -> Iterator[PullReport]:
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
