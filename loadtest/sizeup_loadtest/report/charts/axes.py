"""Axes, grids and error bars. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sizeup_loadtest.report.charts import svg
from sizeup_loadtest.report.charts.scales import Scale

Write = Callable[[float], str]
CAP = 4.0
"""Half the width of the caps of an error bar."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot area of a drawing."""

    left: float
    top: float
    right: float
    bottom: float


def x_axis(frame: Frame, scale: Scale, write: Write, title: str = "") -> Markup:
    """Return the x axis with its grid, and an optional title."""
    parts = [svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis")]
    for value in scale.ticks():
        x = scale.at(value)
        parts.append(svg.line((x, frame.top), (x, frame.bottom), "grid"))
        parts.append(svg.label((x, frame.bottom + 16), write(value), "tick", "middle"))
    middle = (frame.left + frame.right) / 2
    if title:
        parts.append(svg.label((middle, frame.bottom + 35), title, "name", "middle"))
    return svg.join(parts)


def y_axis(frame: Frame, scale: Scale, write: Write, title: str) -> Markup:
    """Return the y axis with its grid; the title is above it, horizontal."""
    parts = []
    for value in scale.ticks():
        y = scale.at(value)
        parts.append(svg.line((frame.left, y), (frame.right, y), "grid"))
        parts.append(svg.label((frame.left - 7, y + 4), write(value), "tick", "end"))
    parts.append(svg.label((2, frame.top - 12), title, "name"))
    return svg.join(parts)


def error_x(y: float, low: float, high: float) -> Markup:
    ends = [((x, y - CAP), (x, y + CAP)) for x in (low, high)]
    return _haloed([((low, y), (high, y)), *ends])


def error_y(x: float, low: float, high: float) -> Markup:
    ends = [((x - CAP, y), (x + CAP, y)) for y in (low, high)]
    return _haloed([((x, low), (x, high)), *ends])


def _haloed(lines: Sequence[tuple[svg.Point, svg.Point]]) -> Markup:
    """Draw lines with an outline in the background colour, visible on any mark."""
    halo = [svg.line(start, end, "halo") for start, end in lines]
    return svg.join((*halo, *(svg.line(start, end, "error") for start, end in lines)))
