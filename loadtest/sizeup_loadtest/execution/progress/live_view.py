"""Progress of a run: a live table on a terminal, else one line per segment."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.stages.latency import meets_slo, tpot, ttft
from sizeup_loadtest.analysis.validity import most_frequent
from sizeup_loadtest.client.http import Request
from sizeup_loadtest.config.schema import Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.execution.progress import estimate
from sizeup_loadtest.execution.progress.time_left import TimeLeft
from sizeup_loadtest.execution.sending.clock import SECOND_NS
from sizeup_loadtest.formatting import NONE
from sizeup_loadtest.workload.schedule import PRELOAD, Segment

RECENT = 200
"""Latest requests per model that the table summarises."""


@dataclass(slots=True)
class _Progress:
    """Running totals of one model, or of one segment."""

    load: str = ""
    sent: int = 0
    done: int = 0
    errors: int = 0
    within_slo: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """Error messages."""
    ttft: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    speed: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, record: Record, slo: Slo) -> None:
        self.done += 1
        if record.outcome is not Outcome.OK:
            self.errors += 1
            self.causes[record.error or record.outcome.value] += 1
        self.within_slo += meets_slo(record, slo)
        if (first := ttft(record)) is not None:
            self.ttft.append(first)
        if pace := tpot(record):
            self.speed.append(1 / pace)


class LiveView:
    """Observes a run and displays it; a context manager."""

    def __init__(
        self,
        console: Console,
        models: Sequence[str],
        slo: Slo,
        time: TimeLeft,
        clock: Callable[[], int],
    ) -> None:
        """`clock` returns nanoseconds since the start of the run."""
        self._console = console
        self._slo = slo
        self._models = {model: _Progress() for model in models}
        self._segment: tuple[Segment, _Progress] | None = None
        self._phase = ""
        self._first: dict[str, _Progress] | None = {}
        """The warm-up of every model, or without output there its first segment; None after the
        table of them."""
        self._time = time
        self._clock = clock
        # Rendering takes milliseconds on the same interpreter as the measured requests.
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_segment()
        if self._console.is_terminal:
            self._live.stop()

    def began_phase(self, name: str) -> None:
        self._end_segment()
        self._print_first()
        self._phase = name
        self._time.began_phase(name, self._now())

    def began(self, segment: Segment) -> None:
        """Start a segment; the previous one has ended."""
        self._end_segment()
        if self._phase == "speed" and segment.model in (self._first or {}):
            self._print_first()
        self._time.began_segment(estimate.seconds(segment, estimate.ASSUMED_TOK_S), self._now())
        self._segment = (segment, _Progress(self._load(segment)))
        self._of(segment.model).load = self._segment[1].load
        if self._first is not None:
            self._first[segment.model] = self._segment[1]

    def sent(self, request: Request) -> None:
        if request.planned.prompt != PRELOAD.key:
            self._of(request.planned.model).sent += 1

    def ended(self, record: Record) -> None:
        if record.planned.prompt == PRELOAD.key:
            return
        self._of(record.planned.model).add(record, self._slo)
        if self._segment is not None:
            self._segment[1].add(record, self._slo)

    @property
    def share_done(self) -> float | None:
        """Of the run, as far as it is known."""
        return self._time.share_done(self._now())

    def table(self) -> Table:
        return _table(self.progress(), self._models)

    def progress(self) -> str:
        """Return phase, block, share, elapsed time and time left as text."""
        now, left = self._now(), self._left()
        parts = [self._phase.replace("_", " ")]
        if self._segment is not None:
            parts.append(f"block {self._segment[0].block + 1}")
        parts.append(f"{formatting.clock(now)} elapsed")
        if left is not None:
            parts.append(f"{now / (now + left or 1):.0%} done")
            parts.append(f"about {formatting.clock(left)} left")
        return ", ".join(part for part in parts if part)

    def _now(self) -> float:
        return self._clock() / SECOND_NS

    def _left(self) -> float | None:
        done = 0.0
        if self._segment is not None:
            segment, progress = self._segment
            done = min(1.0, progress.done / max(1, segment.required))
        return self._time.left(self._now(), done)

    def _of(self, model: str) -> _Progress:
        return self._models.setdefault(model, _Progress())

    def _load(self, segment: Segment) -> str:
        stage = segment.stage
        load = formatting.stage(stage.mode, stage.level, stage.length, stage.words)
        return load if self._phase == "speed" else formatting.load(stage.mode, stage.level)

    def _end_segment(self) -> None:
        """Print the segment that has ended as one line, where nothing is live."""
        if self._segment is None:
            return
        segment, progress = self._segment
        self._segment = None
        self._time.ended_segment(self._now())
        if self._console.is_terminal:
            return
        _, done, errors, first, speed, within = _cells(progress)
        self._console.print(
            f"{self._phase} block {segment.block + 1}  {progress.load}  {segment.model}  "
            f"done {done}  errors {errors}  TTFT p50 {first}  tokens/s/user {speed}  "
            f"within SLO {within}{most_frequent(progress.causes.most_common(1))}  "
            f"({self._remaining()})",
            highlight=False,
            soft_wrap=True,
        )

    def _remaining(self) -> str:
        left = self._left()
        return "time left unknown" if left is None else f"about {formatting.clock(left)} left"

    def _print_first(self) -> None:
        """Print what the first requests to every model measured, if they were long enough."""
        models = self._first or {}
        if any(progress.speed for progress in models.values()):
            self._console.print(_table(f"First answers; {self._remaining()}", models))
            self._first = None


def _table(title: str, models: Mapping[str, _Progress]) -> Table:
    """Return a table of 80 columns: models and loads wrap, figures never do."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold", min_width=12)
    table.add_column("load", overflow="fold", min_width=8)
    for heading in ("open", "done", "errors", "TTFT p50", "tok/s\nper user", "within\nSLO"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model, progress in models.items():
        table.add_row(model, progress.load, *_cells(progress))
    return table


def _cells(progress: _Progress) -> tuple[str, str, str, str, str, str]:
    first = formatting.seconds(median(progress.ttft)) if progress.ttft else NONE
    speed = f"{median(progress.speed):.1f}" if progress.speed else NONE
    within = f"{progress.within_slo / progress.done:.0%}" if progress.done else NONE
    in_flight = max(0, progress.sent - progress.done)
    return str(in_flight), str(progress.done), str(progress.errors), first, speed, within
