"""Axes, grids and error bars. Pure."""

from collections.abc import Callable
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


def x_axis(frame: Frame, scale: Scale, write: Write, title: str) -> Markup:
    """Return the x axis with its grid; the title is below it."""
    parts = [svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis")]
    for value in scale.ticks():
        x = scale.at(value)
        parts.append(svg.line((x, frame.top), (x, frame.bottom), "grid"))
        parts.append(svg.label((x, frame.bottom + 16), write(value), "tick", "middle"))
    middle = (frame.left + frame.right) / 2
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


def error_bar(start: svg.Point, end: svg.Point) -> Markup:
    """Return a horizontal or vertical error bar, with an outline in the background colour."""
    dx, dy = (CAP, 0.0) if start[0] == end[0] else (0.0, CAP)
    caps = [((x - dx, y - dy), (x + dx, y + dy)) for x, y in (start, end)]
    lines = [(start, end), *caps]
    halo = [svg.line(*ends, "halo") for ends in lines]
    return svg.join((*halo, *(svg.line(*ends, "error") for ends in lines)))
