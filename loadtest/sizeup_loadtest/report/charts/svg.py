"""SVG elements in pixels of the drawing; colours come from CSS classes. Pure.

Names come from servers, so all text is escaped unless it is Markup already.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

Point = tuple[float, float]
Child = Markup | str | None
Attribute = str | float | None


def tag(element: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element. `class_` is class and `aria_label` is aria-label; None is left out."""
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{element}{written}>{join(children)}</{element}>")


def join(children: Iterable[Child]) -> Markup:
    """Concatenate; plain text is escaped."""
    return Markup("").join(child for child in children if child is not None)


def _text(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else plain(value)


def plain(value: float) -> str:
    """Format a coordinate with up to two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def drawing(key: str, size: Point, name: str, description: str, *children: Child) -> Markup:
    """Return an accessible drawing; `key` is unique in the page."""
    return tag(
        "svg",
        tag("title", name, id=f"{key}-t"),
        tag("desc", description, id=f"{key}-d"),
        *children,
        viewBox=f"0 0 {plain(size[0])} {plain(size[1])}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
        style=f"max-width:{plain(size[0] * 1.25)}px",
    )


def line(start: Point, end: Point, class_: str) -> Markup:
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def circle(centre: Point, radius: float, class_: str, tip: str | None = None) -> Markup:
    return tag("circle", _tooltip(tip), cx=centre[0], cy=centre[1], r=radius, class_=class_)


def diamond(centre: Point, radius: float, class_: str, tip: str | None = None) -> Markup:
    x, y = centre
    corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
    return tag("path", _tooltip(tip), d=_path(corners) + "Z", class_=class_)


def polyline(points: Sequence[Point], class_: str) -> Markup:
    return tag("path", d=_path(points), class_=class_)


def label(at: Point, text: str, class_: str = "", anchor: str = "start") -> Markup:
    """Return text with its baseline at a point; anchor is start, middle or end."""
    return tag("text", text, x=at[0], y=at[1], text_anchor=anchor, class_=class_ or None)


def _tooltip(text: str | None) -> Markup | None:
    return None if text is None else tag("title", text)


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{plain(x)} {plain(y)}" for x, y in points)
