"""HTML and SVG as trees of strings, in which text is escaped unless it is markup already.

Answers of models and names from servers are not trusted: there is no way to write them unescaped.
"""

from collections.abc import Iterable
from html import escape as _escape

_VOID = frozenset({"meta", "br", "hr", "link", "input", "col"})


class Markup(str):
    """Text that is markup and must not be escaped again."""

    __slots__ = ()


Child = str | None
Attribute = str | float | bool | None


def escape(text: str) -> Markup:
    """Turn text into markup; what UTF-8 cannot say (lone surrogates) becomes `?`."""
    return Markup(_escape(text.encode("utf-8", "replace").decode(), quote=True))


def tag(element: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element. `class_` is class and `aria_label` is aria-label; None is left out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if element in _VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{join(children)}</{element}>")


def join(children: Iterable[Child]) -> Markup:
    """Put children behind each other; plain text among them is escaped."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )


def _attribute(key: str, value: Attribute) -> str:
    name = key.removesuffix("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{escape(value if isinstance(value, str) else plain(value))}"'


def plain(value: float) -> str:
    """Write a coordinate: two decimals are a fiftieth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
