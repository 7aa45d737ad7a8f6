"""Points of several series over two axes: joined lines, or marks with error bars."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from sizeup_loadtest.report.charts import labels, scales, svg
from sizeup_loadtest.report.charts.scales import Scale

Write = Callable[[float], str]
Ends = tuple[float, float]
Mark = Literal["dot", "hollow", "ring", "diamond"]
_NAME = 14
"""Characters of a name beside a line."""
_TICK = 44.0
"""Width of the last label of an axis, which is centred at its end."""
_DISC = 7.0
_CAP = 4.0
"""Half the width of the caps of an error bar."""
_LEFT = 56.0
"""Width of the labels of a vertical axis."""
_LOG_FROM = {True: 12.0, False: 4.0}
"""Ratio of maximum to minimum from which an axis is logarithmic, by whether points are joined."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement; `tip` is shown on hover."""

    x: float
    y: float
    tip: str
    mark: Mark = "dot"
    x_ends: Ends | None = None
    y_ends: Ends | None = None
    """Interval."""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one model."""

    name: str
    class_: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A requirement on the values of an axis, which the script of the page moves."""

    key: str
    limit: float | None
    is_minimum: bool = True


@dataclass(frozen=True, slots=True)
class Axis:
    """Title and format of an axis; its range is that of the values, unless given."""

    title: str
    write: Write
    count: int = 5
    """Ticks, at most."""
    range: Ends | None = None
    line: float | None = None
    """Of an objective: a dashed line, where it is near the values."""
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class _Plot:
    """Both scales, whose ends are the edges of the plot area; y begins at its bottom."""

    x: Scale
    y: Scale

    def at(self, point: Point) -> svg.Point:
        return self.x.at(point.x), self.y.at(point.y)


def draw(
    key: str,
    title: str,
    size: tuple[float, float],
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    joined: bool = True,
) -> Markup | None:
    """Return the chart, of a size in pixels; None without any point.

    `joined`: the points of a series are a line with its name at the end, else discs.
    """
    drawn = [one for one in series if one.points]
    if not drawn:
        return None
    names = max(labels.width(labels.shortened(s.name, _NAME)) for s in drawn) if joined else 0
    right, bottom = size[0] - (names + 14 if names else _TICK / 2), size[1] - 50
    points = [p for s in drawn for p in s.points]
    plot = _Plot(
        _scale(x, _values(points, "x"), (_LEFT, right), joined),
        _scale(y, _values(points, "y"), (bottom, 34), joined),
    )
    return svg.drawing(
        key,
        size,
        title,
        "; ".join(p.tip for p in points) + ".",
        _x_axis(x, plot),
        _y_axis(y, plot),
        _accepted(x, y, plot),
        _objective(y, plot),
        _lines(drawn, plot) if joined else _marks(drawn, x, y, plot),
    )


def _values(points: Sequence[Point], axis: str) -> list[float]:
    ends = [e for p in points for e in getattr(p, f"{axis}_ends") or ()]
    return [*(getattr(p, axis) for p in points), *ends]


def _scale(axis: Axis, values: list[float], ends: Ends, joined: bool) -> Scale:
    if axis.range is not None:
        return Scale(*axis.range, *ends, axis.count)
    for limit in (axis.line, axis.bound.limit if axis.bound else None):
        if limit and min(values) / 5 < limit < max(values) * 5:
            values = [*values, limit]
    low, high = min(values), max(values)
    if low > 0 and high / low >= _LOG_FROM[joined]:
        return scales.logarithmic(low, high, *ends, axis.count)
    return scales.from_zero(high * 1.04, *ends, axis.count)


def _x_axis(axis: Axis, plot: _Plot) -> Markup:
    """Return the x axis with its grid; the title is below it."""
    x, bottom = plot.x, plot.y.begin
    parts = [svg.line((x.begin, bottom), (x.end, bottom), "axis")]
    for value in x.ticks():
        at = x.at(value)
        parts.append(svg.line((at, plot.y.end), (at, bottom), "grid"))
        parts.append(svg.label((at, bottom + 16), axis.write(value), "tick", "middle"))
    middle = (x.begin + x.end) / 2
    parts.append(svg.label((middle, bottom + 35), _title(axis, x), "name", "middle"))
    return svg.join(parts)


def _y_axis(axis: Axis, plot: _Plot) -> Markup:
    """Return the y axis with its grid; the title is above it, horizontal."""
    parts = []
    for value in plot.y.ticks():
        at = plot.y.at(value)
        parts.append(svg.line((plot.x.begin, at), (plot.x.end, at), "grid"))
        parts.append(svg.label((plot.x.begin - 7, at + 4), axis.write(value), "tick", "end"))
    parts.append(svg.label((2, plot.y.end - 12), _title(axis, plot.y), "name"))
    return svg.join(parts)


def _title(axis: Axis, scale: Scale) -> str:
    return f"{axis.title}, log scale" if scale.is_log else axis.title


def _accepted(x: Axis, y: Axis, plot: _Plot) -> Markup | None:
    """Shade what meets the bounds of both axes; hidden while neither is set."""
    if x.bound is None or y.bound is None:
        return None
    (left, right), (bottom, top) = _side(x.bound, plot.x), _side(y.bound, plot.y)
    unset = x.bound.limit is None and y.bound.limit is None
    return svg.tag(
        "g",
        svg.tag(
            "rect",
            x=left,
            y=top,
            width=max(0.0, right - left),
            height=max(0.0, bottom - top),
            class_="accepted",
        ),
        svg.label((right - 8, top + 17), "meets the requirements", "limit", "end"),
        class_="bounds",
        data_x=_for_script(x.bound, plot.x),
        data_y=_for_script(y.bound, plot.y),
        visibility="hidden" if unset else None,
    )


def _side(bound: Bound, scale: Scale) -> Ends:
    """Return the accepted part of an axis, in pixels."""
    if bound.limit is None:
        return scale.begin, scale.end
    first, last = sorted((scale.begin, scale.end))
    at = min(max(scale.at(bound.limit), first), last)
    return (at, scale.end) if bound.is_minimum else (scale.begin, at)


def _for_script(bound: Bound, scale: Scale) -> str:
    domain = {"log": scale.is_log, "low": scale.low, "high": scale.high}
    pixels = {"begin": scale.begin, "end": scale.end}
    return json.dumps({"key": bound.key, "minimum": bound.is_minimum, **domain, **pixels})


def _objective(y: Axis, plot: _Plot) -> Markup | None:
    left, right = plot.x.begin, plot.x.end
    if y.line is None or not plot.y.end <= (at := plot.y.at(y.line)) <= plot.y.begin:
        return None
    text = f"SLO {y.write(float(f'{y.line:.3g}'))}"
    label = svg.label((left + 5, at - 5), text, "limit small")
    return svg.join((svg.line((left, at), (right, at), "limit"), label))


def _lines(series: Sequence[Series], plot: _Plot) -> Markup:
    """Draw joined points with the name of each series beside its last one, without overlaps."""
    ends = [plot.at(one.points[-1]) for one in series]
    heights = labels.spread([y for _, y in ends], labels.HEIGHT, plot.y.begin)
    parts = []
    for one, end, height in zip(series, ends, heights, strict=True):
        pixels = [plot.at(p) for p in one.points]
        marks = [_mark(p, at, 3) for p, at in zip(one.points, pixels, strict=True)]
        beside = (plot.x.end + 9, height)
        leader = svg.line(end, beside, "leader")
        name = svg.label((beside[0] + 3, height + 4), labels.shortened(one.name, _NAME), "label")
        parts.append(
            svg.tag("g", svg.polyline(pixels, "trace"), leader, *marks, name, class_=one.class_)
        )
    return svg.join(parts)


def _mark(point: Point, at: svg.Point, radius: float) -> Markup:
    if point.mark == "diamond":
        return svg.diamond(at, radius * 2, "mark", point.tip)
    dot = svg.circle(at, radius, "mark hollow" if point.mark == "hollow" else "mark", point.tip)
    if point.mark == "ring":
        return svg.join((dot, svg.circle(at, radius * 2.5, "knee", point.tip)))
    return dot


def _marks(series: Sequence[Series], x: Axis, y: Axis, plot: _Plot) -> Markup:
    """Draw discs with error bars and a name beside each, linked in the order of the series."""
    centres = [plot.at(one.points[0]) for one in series]
    texts = [labels.shortened(one.name) for one in series]
    within = labels.Box(plot.x.begin, plot.y.end + 20, plot.x.end, plot.y.begin)
    bars = [_bars(one.points[0], plot) for one in series]
    lines = [*pairwise(centres), *(bar for each in bars for bar in each)]
    circles = [(*centre, _DISC + 5) for centre in centres]
    positions = labels.around(circles, texts, within, [*lines, *_corner(x, y, plot)])
    parts = [svg.polyline(centres, "link")]
    for one, centre, each, text, position in zip(
        series, centres, bars, texts, positions, strict=True
    ):
        parts.append(
            svg.tag(
                "g",
                *(_error_bar(*ends) for ends in each),
                svg.circle(centre, _DISC + 4.5, "ring"),
                svg.circle(centre, _DISC, "disc", one.points[0].tip),
                svg.label((position.x, position.y), text, "label", position.anchor),
                class_=one.class_,
            )
        )
    return svg.join(parts)


def _bars(point: Point, plot: _Plot) -> list[labels.Line]:
    x, y = plot.at(point)
    found: list[labels.Line] = []
    if point.y_ends:
        found.append(((x, plot.y.at(point.y_ends[0])), (x, plot.y.at(point.y_ends[1]))))
    if point.x_ends:
        found.append(((plot.x.at(point.x_ends[0]), y), (plot.x.at(point.x_ends[1]), y)))
    return found


def _error_bar(start: svg.Point, end: svg.Point) -> Markup:
    """Return a horizontal or vertical error bar, with an outline in the background colour."""
    dx, dy = (_CAP, 0.0) if start[0] == end[0] else (0.0, _CAP)
    caps = [((x - dx, y - dy), (x + dx, y + dy)) for x, y in (start, end)]
    lines = [(start, end), *caps]
    return svg.join(svg.line(*ends, class_) for class_ in ("halo", "error") for ends in lines)


def _corner(x: Axis, y: Axis, plot: _Plot) -> list[labels.Line]:
    """Return the edges of the accepted area, which labels avoid."""
    if x.bound is None or y.bound is None:
        return []
    (left, right), (bottom, top) = _side(x.bound, plot.x), _side(y.bound, plot.y)
    inner = left if x.bound.is_minimum else right
    return [((left, bottom), (right, bottom)), ((inner, bottom), (inner, top))]
