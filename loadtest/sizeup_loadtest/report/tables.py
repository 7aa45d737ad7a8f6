"""Tables in which a blank says why it is blank. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sizeup_loadtest import formatting
from sizeup_loadtest.report.markup import Markup, join, tag


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with what stands small beside it, or the reason why there is none."""

    text: str | None
    beside: str | None = None
    reason: str = "not measured"
    share: float | None = None
    """0 to 1: a bar under the value."""


@dataclass(frozen=True, slots=True)
class Row:
    """A size and its cells."""

    name: str
    cells: tuple[Cell, ...]
    class_: str | None = None
    detail: str | None = None
    """Small, under the name."""
    data: dict[str, float | None] = field(default_factory=dict)
    """Attributes for the script: data-<key>."""


def blank(reason: str) -> Cell:
    """Return an empty cell and why."""
    return Cell(None, reason=reason)


def table(
    heads: Sequence[str], rows: Sequence[Row], caption: str, class_: str | None = None
) -> Markup:
    """Return a table; the first head is of the names. Reasons of blanks stand under it."""
    reasons = list(dict.fromkeys(c.reason for r in rows for c in r.cells if c.text is None))
    head = tag("tr", *(tag("th", _head(text), scope="col") for text in heads))
    body = (_row(row, reasons) for row in rows)
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", *body),
        class_=class_,
    )
    scroll = tag("div", made, class_="scroll", tabindex="0", role="group", aria_label=caption)
    return join((scroll, _reasons(reasons)))


def _head(text: str) -> Markup:
    """Write a head with its unit, the part after a bar, small beneath."""
    name, _, unit = text.partition("|")
    return join((name, tag("small", unit) if unit else None))


def _row(row: Row, reasons: Sequence[str]) -> Markup:
    detail = tag("small", row.detail) if row.detail else None
    data = {
        f"data_{key}": None if value is None else repr(float(value))
        for key, value in row.data.items()
    }
    return tag(
        "tr",
        tag("th", tag("span", row.name, class_="model"), detail, scope="row"),
        *(_cell(cell, reasons) for cell in row.cells),
        class_=row.class_,
        **data,
    )


def _cell(cell: Cell, reasons: Sequence[str]) -> Markup:
    if cell.text is None:
        mark = tag("sup", str(reasons.index(cell.reason) + 1))
        return tag("td", tag("abbr", formatting.NONE, title=cell.reason), mark, class_="blank")
    beside = tag("small", cell.beside) if cell.beside else None
    bar = None
    if cell.share is not None:
        width = f"width:{max(0.0, min(1.0, cell.share)) * 100:.1f}%"
        bar = tag("span", tag("span", style=width), class_="bar", aria_hidden="true")
    return tag("td", tag("span", cell.text, class_="figure"), beside, bar)


def _reasons(reasons: Sequence[str]) -> Markup | None:
    if not reasons:
        return None
    notes = (tag("span", tag("sup", str(i)), f" {reason}. ") for i, reason in enumerate(reasons, 1))
    return tag("p", f"{formatting.NONE} blank: ", *notes, class_="note")


def pairs(rows: Sequence[tuple[str, str | Markup]], class_: str = "facts") -> Markup:
    """Return names with their values."""
    parts = (join((tag("dt", name), tag("dd", value))) for name, value in rows)
    return tag("dl", *parts, class_=class_)
