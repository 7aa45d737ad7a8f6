"""Latency by phase, from the server's own durations: one stacked bar per model."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import LatencyBreakdown, ModelResult
from sizeup_loadtest.report.charts import axes, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.labels import CHARACTER
from sizeup_loadtest.report.charts.rows import shortened

_WIDTH = 720.0
_STEP, _BAR = 32.0, 18.0
PARTS = ("load", "queue", "prefill", "decode")


@dataclass(frozen=True, slots=True)
class MeanParts:
    """Mean seconds of each phase."""

    name: str
    seconds: tuple[float, float, float, float]


def mean_parts(models: Sequence[ModelResult]) -> list[MeanParts]:
    """Return the phases of every model with server durations, at its lightest load."""
    found = []
    for model in models:
        with_split = [s for s in model.stages if s.breakdown is not None]
        stage = min(with_split, key=lambda s: (s.mode != "closed", s.level), default=None)
        if stage is not None and stage.breakdown is not None:
            found.append(MeanParts(model.name, _means(stage.breakdown)))
    return found


def _means(split: LatencyBreakdown) -> tuple[float, float, float, float]:
    return (
        split.load.mean.value,
        split.queue.mean.value,
        split.prefill.mean.value,
        split.decode.mean.value,
    )


def draw(models: Sequence[ModelResult]) -> Markup | None:
    """Return the chart; None without server durations (only Ollama's API reports them)."""
    rows = mean_parts(models)
    if not rows:
        return None
    names = max(len(shortened(r.name)) for r in rows) * CHARACTER
    frame = Frame(names + 12, 34, _WIDTH - 76, 34 + _STEP * len(rows))
    scale = scales.from_zero([sum(r.seconds) for r in rows], frame.left, frame.right, 6)
    return svg.drawing(
        _WIDTH,
        frame.bottom + 44,
        "Latency breakdown",
        "; ".join(_describe(r) for r in rows) + ".",
        _legend(frame),
        axes.x_axis(frame, scale, formatting.seconds_tick, "mean latency of a request"),
        *(_row(row, i, scale, frame) for i, row in enumerate(rows)),
        key="breakdown",
    )


def _legend(frame: Frame) -> Markup:
    parts = []
    for i, part in enumerate(PARTS):
        x = frame.left + i * 96
        parts.append(svg.rect((x, 8), (12, 12), f"part p{i}"))
        parts.append(svg.label((x + 18, 18), part, "label"))
    return svg.join(parts)


def _row(row: MeanParts, i: int, scale: scales.Scale, frame: Frame) -> Markup:
    y = frame.top + _STEP * (i + 0.5)
    parts = [svg.label((frame.left - 8, y + 4), shortened(row.name), "label", "end")]
    start = 0.0
    for j, seconds in enumerate(row.seconds):
        left, right = scale.at(start), scale.at(start + seconds)
        tip = f"{row.name}, {PARTS[j]}: {formatting.seconds(seconds)}"
        parts.append(svg.rect((left, y - _BAR / 2), (right - left, _BAR), f"part p{j}", tip))
        start += seconds
    parts.append(svg.label((scale.at(start) + 7, y + 4), formatting.seconds(start), "value"))
    return svg.join(parts)


def _describe(row: MeanParts) -> str:
    each = (f"{n} {formatting.seconds(s)}" for n, s in zip(PARTS, row.seconds, strict=True))
    return f"{row.name}: {', '.join(each)}"
