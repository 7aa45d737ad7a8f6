"""A run while it runs: a table that is drawn anew, or a line per stage where nobody watches."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sizeup_loadtest.analysis.latency import meets_slo, tpot, ttft
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.workload.schedule import PRELOAD, Segment

RECENT = 200
"""Requests of a size the table sums up."""

_BARS = "▁▂▃▄▅▆▇█"
_SPARKS = 16


@dataclass(slots=True)
class _Row:
    """What is known of one size."""

    stage: str = ""
    sent: int = 0
    done: int = 0
    errors: int = 0
    good: int = 0
    ttft: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    speed: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, record: Record, slo: Slo) -> None:
        self.done += 1
        self.errors += record.outcome is not Outcome.OK
        self.good += meets_slo(record, slo)
        if (first := ttft(record)) is not None:
            self.ttft.append(first)
        if pace := tpot(record):
            self.speed.append(1 / pace)


class LiveView:
    """Watch a run and show it; a context manager."""

    def __init__(self, console: Console, models: Sequence[str], total: int, slo: Slo) -> None:
        """Show these sizes; `total` requests are planned for all of them together."""
        self._console = console
        self._total = total
        self._slo = slo
        self._rows = {model: _Row() for model in models}
        self._segment: tuple[Segment, _Row] | None = None
        # Drawing takes milliseconds of the interpreter, which the measured requests share.
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2)

    def __enter__(self) -> Self:
        """Begin to draw, on a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Draw once more, or say the last line."""
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._say()

    def began(self, segment: Segment) -> None:
        """A segment begins: the one before has ended."""
        if not self._console.is_terminal:
            self._say()
        self._segment = (segment, _Row())
        self._row(segment.model).stage = segment.stage.key

    def sent(self, request: Request) -> None:
        """A request is about to be sent; one that only wakes a model is none."""
        if request.planned.prompt != PRELOAD.key:
            self._row(request.planned.model).sent += 1

    def ended(self, record: Record) -> None:
        """A request has ended."""
        if record.planned.prompt == PRELOAD.key:
            return
        self._row(record.planned.model).add(record, self._slo)
        if self._segment is not None:
            self._segment[1].add(record, self._slo)

    def table(self) -> Table:
        """Draw a row per size."""
        done = sum(row.done for row in self._rows.values())
        table = Table(title=f"{done} requests of {self._total} planned", title_justify="left")
        table.add_column("size", no_wrap=True)
        table.add_column("stage", no_wrap=True)
        for heading in ("in flight", "done", "errors", "TTFT p50", "tokens/s/user"):
            table.add_column(heading, justify="right")
        table.add_column("")
        table.add_column("within SLO", justify="right")
        for model, row in self._rows.items():
            table.add_row(model, row.stage, str(row.sent - row.done), *_cells(row))
        return table

    def _row(self, model: str) -> _Row:
        return self._rows.setdefault(model, _Row())

    def _say(self) -> None:
        """Sum up the segment that has ended in one line."""
        if self._segment is None:
            return
        segment, row = self._segment
        done, errors, first, speed, _, good = _cells(row)
        self._console.print(
            f"block {segment.block + 1}  {segment.stage.key}  {segment.model}  "
            f"done {done}  errors {errors}  TTFT p50 {first}  tokens/s/user {speed}  "
            f"within SLO {good}",
            highlight=False,
            soft_wrap=True,
        )
        self._segment = None


def _cells(row: _Row) -> tuple[str, str, str, str, str, str]:
    first = f"{median(row.ttft) * 1000:.0f} ms" if row.ttft else "–"
    speed = f"{median(row.speed):.1f}" if row.speed else "–"
    good = f"{row.good / row.done:.0%}" if row.done else "–"
    return str(row.done), str(row.errors), first, speed, sparks([*row.speed][-_SPARKS:]), good


def sparks(values: Sequence[float]) -> str:
    """Draw values as bars of eight heights; the tallest is the largest."""
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)
