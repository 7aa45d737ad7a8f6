"""What a section of the page consists of; each block is rendered by the macro of its class."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from markupsafe import Markup

from sizeup_loadtest.data.results import ModelResult

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with a smaller note under it, or the reason why it is blank."""

    text: str | None
    note: str | None = None
    reason: str = "not measured"
    bar: float | None = None
    """0 to 1: a bar under the value."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A model, or a pair of models, and its cells."""

    name: str
    cells: tuple[Cell, ...] = ()
    class_: str | None = None
    detail: str | None = None
    """In small type under the name."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with numbered reasons for its blank cells."""

    heads: tuple[str, ...]
    """`name|unit`; the first head is of the row names."""
    rows: tuple[TableRow, ...]
    caption: str
    class_: str | None = None
    is_collapsed: bool = False

    @property
    def reasons(self) -> list[str]:
        """Distinct reasons of blank cells."""
        return list(dict.fromkeys(c.reason for r in self.rows for c in r.cells if c.text is None))


@dataclass(frozen=True, slots=True)
class Missing:
    """What was not measured, why, and the command that would measure it."""

    what: str
    reason: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Charts side by side where there is room."""

    charts: Sequence[Markup | None]
    class_: str = "grid"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A titled list."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The outputs of all models for one prompt: name, output, CSS class."""

    prompt: str
    outputs: tuple[tuple[str, str, str | None], ...]
    expected: str | None = None
    """The correct answer, where there is one."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Collapsed samples under one title."""

    title: str
    items: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Name, formula and note of every metric."""

    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, and a collapsed text."""

    rows: tuple[tuple[str, str], ...]
    summary: str
    text: str


Block = Table | Grid | Bullets | Sample | Samples | Definitions | Facts


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page, with its entry in the contents."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block | None, ...]
    short: str | None = None
    """In the contents, where it is not the title."""


def blank(reason: str) -> Cell:
    return Cell(None, reason=reason)


Columns = Mapping[str, Callable[[Measured], Cell]]
"""Heads (`name|unit`) and what is under them."""


def of_model(i: int, model: ModelResult, detail: str | None = None) -> TableRow:
    """Return the row of the i-th model, without its cells."""
    return TableRow(model.name, class_=f"s{i}", detail=detail)


def table(
    head: str,
    columns: Columns[Measured],
    rows: Iterable[tuple[TableRow, Measured | None]],
    caption: str,
    missing: str = "not measured",
    class_: str | None = None,
    is_collapsed: bool = False,
) -> Table | None:
    """Fill the rows by columns; where nothing was measured for a row, all are blank, as `missing`.

    `head` is of the row names, the keys of `columns` are the other ones. None without rows.
    """
    filled = tuple(
        replace(row, cells=tuple(
            blank(missing) if seen is None else cell(seen) for cell in columns.values()
        ))
        for row, seen in rows
    )  # fmt: skip
    heads = (head, *columns)
    return Table(heads, filled, caption, class_, is_collapsed) if filled else None
