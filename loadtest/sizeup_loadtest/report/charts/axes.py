"""Axes, grids and error bars. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sizeup_loadtest.report.charts import svg
from sizeup_loadtest.report.charts.scales import Scale
from sizeup_loadtest.report.markup import Markup, join

Write = Callable[[float], str]
CAP = 4.0
"""Half the width of an error bar's ends."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in a drawing the data goes."""

    left: float
    top: float
    right: float
    bottom: float


def below(frame: Frame, scale: Scale, write: Write, title: str = "") -> Markup:
    """Return a horizontal axis with its grid, and a title where the chart has none."""
    parts = [svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis")]
    for value in scale.ticks():
        x = scale.at(value)
        parts.append(svg.line((x, frame.top), (x, frame.bottom), "grid"))
        parts.append(svg.label((x, frame.bottom + 16), write(value), "tick", "middle"))
    middle = (frame.left + frame.right) / 2
    if title:
        parts.append(svg.label((middle, frame.bottom + 35), title, "name", "middle"))
    return join(parts)


def beside(frame: Frame, scale: Scale, write: Write, title: str) -> Markup:
    """Return a vertical axis with its grid; its title stands above it, to be read unturned."""
    parts = []
    for value in scale.ticks():
        y = scale.at(value)
        parts.append(svg.line((frame.left, y), (frame.right, y), "grid"))
        parts.append(svg.label((frame.left - 7, y + 4), write(value), "tick", "end"))
    parts.append(svg.label((2, frame.top - 12), title, "name"))
    return join(parts)


def error_x(y: float, low: float, high: float) -> Markup:
    """Return a horizontal error bar between two pixels."""
    ends = [((x, y - CAP), (x, y + CAP)) for x in (low, high)]
    return _haloed([((low, y), (high, y)), *ends])


def error_y(x: float, low: float, high: float) -> Markup:
    """Return a vertical error bar between two pixels."""
    ends = [((x - CAP, y), (x + CAP, y)) for y in (low, high)]
    return _haloed([((x, low), (x, high)), *ends])


def _haloed(lines: Sequence[tuple[svg.Point, svg.Point]]) -> Markup:
    """Draw lines over a wider one of the background's colour, to be seen on any mark."""
    halo = [svg.line(start, end, "halo") for start, end in lines]
    return join((*halo, *(svg.line(start, end, "error") for start, end in lines)))
