"""Where an answer's time goes, by the server's own durations: stacked bars, a size each."""

from collections.abc import Sequence
from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import LatencyBreakdown, ModelResult
from sizeup_loadtest.report.charts import axes, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.labels import CHARACTER
from sizeup_loadtest.report.charts.rows import shortened
from sizeup_loadtest.report.markup import Markup, join

_WIDTH = 720.0
_STEP, _BAR = 32.0, 18.0
PARTS = ("load", "queue", "prefill", "decode")


@dataclass(frozen=True, slots=True)
class Parted:
    """Mean seconds of each part of a size's answers."""

    name: str
    seconds: tuple[float, float, float, float]


def parted(models: Sequence[ModelResult]) -> list[Parted]:
    """Return the sizes whose server said where the time went, at the least load."""
    found = []
    for model in models:
        with_split = [s for s in model.stages if s.breakdown is not None]
        stage = min(with_split, key=lambda s: (s.mode != "closed", s.level), default=None)
        if stage is not None and stage.breakdown is not None:
            found.append(Parted(model.name, _means(stage.breakdown)))
    return found


def _means(split: LatencyBreakdown) -> tuple[float, float, float, float]:
    return (
        split.load.mean.value,
        split.queue.mean.value,
        split.prefill.mean.value,
        split.decode.mean.value,
    )


def draw(models: Sequence[ModelResult]) -> Markup | None:
    """Return the chart; None where no server told its durations (only Ollama's API does)."""
    rows = parted(models)
    if not rows:
        return None
    names = max(len(shortened(r.name)) for r in rows) * CHARACTER
    frame = Frame(names + 12, 34, _WIDTH - 76, 34 + _STEP * len(rows))
    scale = scales.from_zero([sum(r.seconds) for r in rows], frame.left, frame.right, 6)
    return svg.drawing(
        _WIDTH,
        frame.bottom + 44,
        "Where an answer's time goes",
        "; ".join(_told(r) for r in rows) + ".",
        _legend(frame),
        axes.below(frame, scale, formatting.seconds_tick, "mean time of one answer"),
        *(_row(row, i, scale, frame) for i, row in enumerate(rows)),
        key="split",
    )


def _legend(frame: Frame) -> Markup:
    parts = []
    for i, part in enumerate(PARTS):
        x = frame.left + i * 96
        parts.append(svg.rect((x, 8), (12, 12), f"part p{i}"))
        parts.append(svg.label((x + 18, 18), part, "label"))
    return join(parts)


def _row(row: Parted, i: int, scale: scales.Scale, frame: Frame) -> Markup:
    y = frame.top + _STEP * (i + 0.5)
    parts = [svg.label((frame.left - 8, y + 4), shortened(row.name), "label", "end")]
    passed = 0.0
    for j, seconds in enumerate(row.seconds):
        left, right = scale.at(passed), scale.at(passed + seconds)
        tip = f"{row.name}, {PARTS[j]}: {formatting.seconds(seconds)}"
        parts.append(svg.rect((left, y - _BAR / 2), (right - left, _BAR), f"part p{j}", tip))
        passed += seconds
    parts.append(svg.label((scale.at(passed) + 7, y + 4), formatting.seconds(passed), "value"))
    return join(parts)


def _told(row: Parted) -> str:
    each = (f"{n} {formatting.seconds(s)}" for n, s in zip(PARTS, row.seconds, strict=True))
    return f"{row.name}: {', '.join(each)}"
