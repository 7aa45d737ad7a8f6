"""One figure of every size, a row each: a bar from zero, or a dot where the axis is logarithmic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sizeup_loadtest.report.charts import axes, scales, svg
from sizeup_loadtest.report.charts.axes import Frame
from sizeup_loadtest.report.charts.labels import CHARACTER
from sizeup_loadtest.report.markup import Markup

WIDTH = 372
_STEP, _TOP = 30, 24
_BAR = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A size's figure, or why there is none."""

    name: str
    class_: str
    value: float | None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    """What physics allows at best, drawn as a tick."""
    note: str = "not measured"


@dataclass(frozen=True, slots=True)
class Look:
    """What a chart of rows is called and how it writes its values."""

    key: str
    title: str
    write: Callable[[float], str]
    tick: Callable[[float], str]
    reference: float | None = None
    """A line across all rows: an objective, or a ratio of 1."""
    log: bool = False


def draw(rows: Sequence[Row], look: Look) -> Markup | None:
    """Return the chart; None when there is no value at all."""
    values = [v for r in rows for v in (r.value, r.low, r.high, r.bound) if v is not None]
    if not any(r.value is not None for r in rows):
        return None
    frame = _frame(rows, look)
    scale = _scale(values, look, frame)
    height = frame.bottom + 24
    return svg.drawing(
        WIDTH,
        height,
        look.title,
        _description(rows, look),
        svg.label((2, 13), look.title, "heading"),
        axes.below(frame, scale, look.tick),
        _reference(look, scale, frame),
        *(_row(row, i, scale, frame, look) for i, row in enumerate(rows)),
        key=look.key,
    )


def _frame(rows: Sequence[Row], look: Look) -> Frame:
    names = max(len(shortened(row.name)) for row in rows) * CHARACTER
    told = max((len(look.write(r.value)) for r in rows if r.value is not None), default=4)
    return Frame(names + 12, _TOP, WIDTH - told * CHARACTER - 12, _TOP + _STEP * len(rows))


def _scale(values: Sequence[float], look: Look, frame: Frame) -> scales.Scale:
    if look.reference is not None and (look.log or _near(values, look.reference)):
        values = [*values, look.reference]
    if look.log:
        return scales.around(values, frame.left + 4, frame.right, 4)
    return scales.fitting(values, frame.left, frame.right, 4)


def _near(values: Sequence[float], reference: float) -> bool:
    """Tell whether a line would not crush the data it is drawn over."""
    return reference < 3 * max(values)


def shortened(name: str, most: int = 22) -> str:
    """Cut a long name in its middle, where it says least."""
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[-(most - 1 - head) :]}"


def _reference(look: Look, scale: scales.Scale, frame: Frame) -> Markup | None:
    if look.reference is None:
        return None
    x = scale.at(look.reference)
    if not frame.left - 1 <= x <= frame.right + 1:
        return None
    return svg.line((x, frame.top), (x, frame.bottom), "asked")


def _row(row: Row, i: int, scale: scales.Scale, frame: Frame, look: Look) -> Markup:
    y = frame.top + _STEP * (i + 0.5)
    name = svg.label((frame.left - 8, y + 4), shortened(row.name), "label", "end")
    if row.value is None:
        blank = svg.label((frame.left + 8, y + 4), row.note, "blank")
        return svg.group(name, blank, class_=row.class_)
    x = scale.at(row.value)
    parts = [name, *_marks(row, x, y, scale, frame, look)]
    if row.bound is not None:
        at = scale.at(row.bound)
        parts.append(svg.line((at, y - 11), (at, y + 11), "bound"))
    parts.append(svg.label((WIDTH - 2, y + 4), look.write(row.value), "value", "end"))
    return svg.group(*parts, class_=row.class_)


def _marks(
    row: Row, x: float, y: float, scale: scales.Scale, frame: Frame, look: Look
) -> list[Markup]:
    """Return the mark with its error bar: over a bar, under a dot."""
    mark = _mark(row, x, y, scale, frame, look)
    if row.low is None or row.high is None:
        return [mark]
    error = axes.error_x(y, scale.at(row.low), scale.at(row.high))
    return [error, mark] if isinstance(scale, scales.Log) else [mark, error]


def _mark(row: Row, x: float, y: float, scale: scales.Scale, frame: Frame, look: Look) -> Markup:
    tip = f"{row.name}: {look.write(row.value or 0)}"
    if isinstance(scale, scales.Log):
        return svg.circle((x, y), 5, "mark", tip)
    return svg.rect((frame.left, y - _BAR / 2), (x - frame.left, _BAR), "mark", tip)


def _description(rows: Sequence[Row], look: Look) -> str:
    told = (f"{r.name} {r.note if r.value is None else look.write(r.value)}" for r in rows)
    return f"{look.title}: {'; '.join(told)}."
