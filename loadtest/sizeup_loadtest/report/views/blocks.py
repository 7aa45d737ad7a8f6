"""What a section of the page consists of; each block is rendered by a macro of its `kind`."""

from dataclasses import dataclass, replace
from typing import ClassVar

from markupsafe import Markup


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
    cells: tuple[Cell, ...]
    class_: str | None = None
    detail: str | None = None
    """In small type under the name."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with numbered reasons for its blank cells."""

    kind: ClassVar[str] = "table"
    heads: tuple[str, ...]
    """`name|unit`; the first head is of the row names."""
    rows: tuple[TableRow, ...]
    caption: str
    class_: str | None = None

    def filled(self) -> "Table":
        """Leave out the columns that are blank in every row."""
        kept = [
            i
            for i in range(len(self.heads) - 1)
            if any(row.cells[i].text is not None for row in self.rows)
        ]
        rows = (replace(row, cells=tuple(row.cells[i] for i in kept)) for row in self.rows)
        heads = (self.heads[0], *(self.heads[i + 1] for i in kept))
        return replace(self, heads=heads, rows=tuple(rows))

    @property
    def reasons(self) -> list[str]:
        """Distinct reasons of blank cells."""
        return list(dict.fromkeys(c.reason for r in self.rows for c in r.cells if c.text is None))


@dataclass(frozen=True, slots=True)
class Details:
    """A collapsed table."""

    kind: ClassVar[str] = "details"
    table: Table


@dataclass(frozen=True, slots=True)
class Missing:
    """What was not measured, why, and the command that would measure it."""

    kind: ClassVar[str] = "missing"
    what: str
    reason: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Charts side by side where there is room."""

    kind: ClassVar[str] = "grid"
    charts: tuple[Markup, ...]
    class_: str = "grid"


@dataclass(frozen=True, slots=True)
class BulletList:
    """A titled list."""

    kind: ClassVar[str] = "bullets"
    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The outputs of all models for one prompt: name, output, CSS class."""

    kind: ClassVar[str] = "sample"
    prompt: str
    outputs: tuple[tuple[str, str, str | None], ...]
    expected: str | None = None
    """The correct answer, where there is one."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Collapsed samples under one title."""

    kind: ClassVar[str] = "samples"
    title: str
    items: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Name, formula and note of every metric."""

    kind: ClassVar[str] = "definitions"
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, and a collapsed text."""

    kind: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]
    summary: str
    text: str


Block = Table | Details | Missing | Grid | BulletList | Sample | Samples | Definitions | Facts


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page, with its entry in the contents."""

    key: str
    title: str
    short: str
    """In the contents."""
    lead: str
    blocks: tuple[Block, ...]


def blank(reason: str) -> Cell:
    return Cell(None, reason=reason)


def present(*blocks: Block | None) -> tuple[Block, ...]:
    """Drop absent blocks."""
    return tuple(block for block in blocks if block is not None)
