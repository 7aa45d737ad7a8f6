"""Progress of a run: a live table on a terminal, else one line per segment."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sizeup_loadtest.analysis.latency import meets_slo, tpot, ttft
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.formatting import NONE
from sizeup_loadtest.workload.schedule import PRELOAD, Segment

RECENT = 200
"""Latest requests per model that the table summarises."""

_BARS = "▁▂▃▄▅▆▇█"
_SPARKLINE_WIDTH = 16


@dataclass(slots=True)
class _Progress:
    """Running totals of one model, or of one segment."""

    stage: str = ""
    sent: int = 0
    done: int = 0
    errors: int = 0
    within_slo: int = 0
    ttft: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    speed: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, record: Record, slo: Slo) -> None:
        self.done += 1
        self.errors += record.outcome is not Outcome.OK
        self.within_slo += meets_slo(record, slo)
        if (first := ttft(record)) is not None:
            self.ttft.append(first)
        if pace := tpot(record):
            self.speed.append(1 / pace)


class LiveView:
    """Observes a run and displays it; a context manager."""

    def __init__(self, console: Console, models: Sequence[str], total: int, slo: Slo) -> None:
        """`total` is the number of planned requests of all models."""
        self._console = console
        self._total = total
        self._slo = slo
        self._models = {model: _Progress() for model in models}
        self._segment: tuple[Segment, _Progress] | None = None
        # Rendering takes milliseconds on the same interpreter as the measured requests.
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._print_segment()

    def began(self, segment: Segment) -> None:
        """Start a segment; the previous one has ended."""
        if not self._console.is_terminal:
            self._print_segment()
        self._segment = (segment, _Progress())
        self._of(segment.model).stage = segment.stage.key

    def sent(self, request: Request) -> None:
        if request.planned.prompt != PRELOAD.key:
            self._of(request.planned.model).sent += 1

    def ended(self, record: Record) -> None:
        if record.planned.prompt == PRELOAD.key:
            return
        self._of(record.planned.model).add(record, self._slo)
        if self._segment is not None:
            self._segment[1].add(record, self._slo)

    def table(self) -> Table:
        done = sum(progress.done for progress in self._models.values())
        table = Table(title=f"{done} of {self._total} planned requests", title_justify="left")
        table.add_column("model", no_wrap=True)
        table.add_column("stage", no_wrap=True)
        for heading in ("in flight", "done", "errors", "TTFT p50", "tokens/s/user"):
            table.add_column(heading, justify="right")
        table.add_column("")
        table.add_column("within SLO", justify="right")
        for model, progress in self._models.items():
            in_flight = str(progress.sent - progress.done)
            table.add_row(model, progress.stage, in_flight, *_cells(progress))
        return table

    def _of(self, model: str) -> _Progress:
        return self._models.setdefault(model, _Progress())

    def _print_segment(self) -> None:
        """Print the segment that has ended as one line."""
        if self._segment is None:
            return
        segment, progress = self._segment
        done, errors, first, speed, _, within = _cells(progress)
        self._console.print(
            f"block {segment.block + 1}  {segment.stage.key}  {segment.model}  "
            f"done {done}  errors {errors}  TTFT p50 {first}  tokens/s/user {speed}  "
            f"within SLO {within}",
            highlight=False,
            soft_wrap=True,
        )
        self._segment = None


def _cells(progress: _Progress) -> tuple[str, str, str, str, str, str]:
    first = f"{median(progress.ttft) * 1000:.0f} ms" if progress.ttft else NONE
    speed = f"{median(progress.speed):.1f}" if progress.speed else NONE
    within = f"{progress.within_slo / progress.done:.0%}" if progress.done else NONE
    bars = sparkline([*progress.speed][-_SPARKLINE_WIDTH:])
    return str(progress.done), str(progress.errors), first, speed, bars, within


def sparkline(values: Sequence[float]) -> str:
    """Draw values as bars of eight heights, scaled to the maximum."""
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)
