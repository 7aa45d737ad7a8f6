"""One metric of every model, a row each: a bar from 0, or a dot on a logarithmic axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest.report.charts import axes, labels, scales, svg
from sizeup_loadtest.report.charts.axes import Frame

WIDTH = 372
_STEP, _TOP = 30, 24
_BAR = 12


@dataclass(frozen=True, slots=True)
class BarRow:
    """The value of a model, or why there is none."""

    name: str
    class_: str
    value: float | None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    """The theoretical bound, drawn as a tick."""
    note: str = "not measured"


@dataclass(frozen=True, slots=True)
class RowChart:
    """The title of a chart and the format of its values."""

    key: str
    title: str
    write: Callable[[float], str]
    tick: Callable[[float], str]
    reference: float | None = None
    """A vertical line across all rows, as a ratio of 1."""
    log: bool = False


def draw(rows: Sequence[BarRow], chart: RowChart) -> Markup | None:
    """Return the chart; None without any value."""
    values = [v for r in rows for v in (r.value, r.low, r.high, r.bound) if v is not None]
    if not any(r.value is not None for r in rows):
        return None
    frame = _frame(rows, chart)
    scale = _scale(values, chart, frame)
    height = frame.bottom + 24
    return svg.drawing(
        WIDTH,
        height,
        chart.title,
        _description(rows, chart),
        svg.label((2, 13), chart.title, "heading"),
        axes.x_axis(frame, scale, chart.tick),
        _reference(chart, scale, frame),
        *(_row(row, i, scale, frame, chart) for i, row in enumerate(rows)),
        key=chart.key,
    )


def _frame(rows: Sequence[BarRow], chart: RowChart) -> Frame:
    names = max(labels.width(shortened(row.name)) for row in rows)
    texts = [chart.write(row.value) for row in rows if row.value is not None]
    return Frame(
        names + 12, _TOP, WIDTH - max(map(labels.width, texts)) - 12, _TOP + _STEP * len(rows)
    )


def _scale(values: Sequence[float], chart: RowChart, frame: Frame) -> scales.Scale:
    if chart.reference is not None and (chart.log or _near(values, chart.reference)):
        values = [*values, chart.reference]
    if chart.log:
        return scales.logarithmic(values, frame.left + 4, frame.right, 4)
    return scales.fitting(values, frame.left, frame.right, 4)


def _near(values: Sequence[float], reference: float) -> bool:
    """Whether including the line leaves the data enough room."""
    return reference < 3 * max(values)


def shortened(name: str, most: int = 18) -> str:
    """Shorten a long name at its ends: sizes differ before `-Instruct`, and after `Qwen/`."""
    if len(name) <= most:
        return name
    model = name.rpartition("/")[2] or name
    return model if len(model) <= most else f"{model[: most - 1]}…"


def _reference(chart: RowChart, scale: scales.Scale, frame: Frame) -> Markup | None:
    if chart.reference is None:
        return None
    x = scale.at(chart.reference)
    if not frame.left - 1 <= x <= frame.right + 1:
        return None
    return svg.line((x, frame.top), (x, frame.bottom), "limit")


def _row(row: BarRow, i: int, scale: scales.Scale, frame: Frame, chart: RowChart) -> Markup:
    y = frame.top + _STEP * (i + 0.5)
    name = svg.label((frame.left - 8, y + 4), shortened(row.name), "label", "end")
    if row.value is None:
        blank = svg.label((frame.left + 8, y + 4), row.note, "blank")
        return svg.group(name, blank, class_=row.class_)
    x = scale.at(row.value)
    parts = [name, *_marks(row, x, y, scale, frame, chart)]
    if row.bound is not None:
        at = scale.at(row.bound)
        parts.append(svg.line((at, y - 11), (at, y + 11), "bound"))
    parts.append(svg.label((WIDTH - 2, y + 4), chart.write(row.value), "value", "end"))
    return svg.group(*parts, class_=row.class_)


def _marks(
    row: BarRow, x: float, y: float, scale: scales.Scale, frame: Frame, chart: RowChart
) -> list[Markup]:
    """Return the mark with its error bar, which is over a bar and under a dot."""
    mark = _mark(row, x, y, scale, frame, chart)
    if row.low is None or row.high is None:
        return [mark]
    error = axes.error_bar((scale.at(row.low), y), (scale.at(row.high), y))
    return [error, mark] if isinstance(scale, scales.Log) else [mark, error]


def _mark(
    row: BarRow, x: float, y: float, scale: scales.Scale, frame: Frame, chart: RowChart
) -> Markup:
    tip = f"{row.name}: {chart.write(row.value or 0)}"
    if isinstance(scale, scales.Log):
        return svg.circle((x, y), 5, "mark", tip)
    return svg.rect((frame.left, y - _BAR / 2), (x - frame.left, _BAR), "mark", tip)


def _description(rows: Sequence[BarRow], chart: RowChart) -> str:
    texts = (f"{r.name} {r.note if r.value is None else chart.write(r.value)}" for r in rows)
    return f"{chart.title}: {'; '.join(texts)}."
