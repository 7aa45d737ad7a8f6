"""Drawing primitives: shapes in pixels of the drawing, colours by CSS class. Pure."""

from collections.abc import Sequence

from sizeup_loadtest.report.markup import Attribute, Child, Markup, plain, tag

Point = tuple[float, float]


def drawing(
    width: float, height: float, name: str, description: str, *children: Child, key: str
) -> Markup:
    """Return a drawing with what a screen reader says of it; `key` is unique in the page."""
    return tag(
        "svg",
        tag("title", name, id=f"{key}-t"),
        tag("desc", description, id=f"{key}-d"),
        *children,
        viewBox=f"0 0 {plain(width)} {plain(height)}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
        style=f"max-width:{plain(width * 1.25)}px",
    )


def line(start: Point, end: Point, class_: str) -> Markup:
    """Return a straight line."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def circle(centre: Point, radius: float, class_: str, tip: str | None = None) -> Markup:
    """Return a circle, with a tip that shows under the pointer."""
    return tag("circle", _tip(tip), cx=centre[0], cy=centre[1], r=radius, class_=class_)


def rect(corner: Point, size: Point, class_: str, tip: str | None = None) -> Markup:
    """Return a rectangle from its upper left corner."""
    return tag(
        "rect",
        _tip(tip),
        x=corner[0],
        y=corner[1],
        width=max(0.0, size[0]),
        height=max(0.0, size[1]),
        class_=class_,
    )


def diamond(centre: Point, radius: float, class_: str, tip: str | None = None) -> Markup:
    """Return a square on its corner."""
    x, y = centre
    corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
    return tag("path", _tip(tip), d=_trace(corners) + "Z", class_=class_)


def polyline(points: Sequence[Point], class_: str) -> Markup:
    """Return straight lines from point to point."""
    return tag("path", d=_trace(points), class_=class_)


def label(at: Point, text: str, class_: str = "", anchor: str = "start") -> Markup:
    """Return text whose baseline is at a point; anchor is start, middle or end."""
    return tag("text", text, x=at[0], y=at[1], text_anchor=anchor, class_=class_ or None)


def turned(at: Point, text: str, class_: str) -> Markup:
    """Return text that reads upwards, centred at a point."""
    x, y = plain(at[0]), plain(at[1])
    return tag(
        "text",
        text,
        transform=f"translate({x} {y}) rotate(-90)",
        text_anchor="middle",
        class_=class_,
    )


def group(*children: Child, **attributes: Attribute) -> Markup:
    """Return shapes that share attributes."""
    return tag("g", *children, **attributes)


def _tip(text: str | None) -> Markup | None:
    return None if text is None else tag("title", text)


def _trace(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{plain(x)} {plain(y)}" for x, y in points)
