"""The entries of the chart's values.yaml, with what its comments say about them. Pure.

The conventions of the file: a comment above a key or behind its value is about that key, and a
comment line in the column of a trailing comment continues it. Two spaces or more after a # begin an
optional key. A comment before an empty line or an optional key is a paragraph.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

_KEY = re.compile(r"""( *)("[^"]+"|[\w./-]+):(?: +(.*))?$""")
_COMMENT = re.compile(r" *#(?: (\S.*))?$")
_OPTIONAL = re.compile(r"#( {2,}\S.*)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key."""

    section: str
    """The top-level key; empty before the first one."""
    path: tuple[str, ...]
    """From the top-level key; of an optional key, as it is indented."""
    value: str
    """As written; empty for a map of its own lines."""
    text: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A comment that is not about one key."""

    section: str
    text: str


@dataclass(slots=True)
class _Reader:
    section: str = ""
    stack: list[tuple[int, str]] = field(default_factory=list)
    optional: list[tuple[int, str]] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    last: Entry | None = None
    column: int = -1
    """Of the trailing comment of the last entry."""

    def read(self, lines: Iterable[str]) -> Iterator[Entry | Paragraph]:
        for line in lines:
            yield from self._line(line)
        yield from self._flush()
        yield from self._paragraph()

    def _line(self, line: str) -> Iterator[Entry | Paragraph]:
        if self.last and self._continues(line):
            more = line.rpartition("# ")[2].strip()
            self.last = replace(self.last, text=f"{self.last.text} {more}")
        elif found := _OPTIONAL.match(line):
            yield from self._flush()
            yield from self._paragraph()
            self._key(found[1], self.optional, offset=1)
        elif found := _COMMENT.match(line):
            yield from self._flush()
            if found[1] is None:
                yield from self._paragraph()
            else:
                self.optional = []
                self.pending.append(found[1])
        elif not line.strip():
            yield from self._flush()
            yield from self._paragraph()
        elif _KEY.match(line):
            yield from self._flush()
            self._key(line, self.stack)

    def _continues(self, line: str) -> bool:
        comment = line.find("#", 1)
        return comment >= 0 and comment == self.column and not line[:comment].strip(" #")

    def _key(self, line: str, stack: list[tuple[int, str]], offset: int = 0) -> None:
        code, comment, text = _split(line)
        found = _KEY.match(code)
        if found is None:
            raise ValueError(f"align this with the comment that it continues: {line.strip()}")
        while stack and stack[-1][0] >= len(found[1]):
            stack.pop()
        stack.append((len(found[1]), found[2].strip('"')))
        is_optional = offset > 0
        if len(stack) == 1 and not is_optional:
            self.section, self.optional = stack[0][1], []
        path = tuple(name for _, name in stack)
        said = " ".join([*self.pending, *([text] if text else [])])
        self.pending = []
        self.last = Entry(self.section, path, found[3] or "", said, is_optional)
        self.column = comment + offset if comment >= 0 else -1

    def _flush(self) -> Iterator[Entry]:
        if self.last:
            yield self.last
        self.last = None

    def _paragraph(self) -> Iterator[Paragraph]:
        if self.pending:
            yield Paragraph(self.section, " ".join(self.pending))
        self.pending = []


def read_values(text: str) -> Sequence[Entry | Paragraph]:
    """Return keys and paragraphs of a values file, in its order; ValueError for what is neither."""
    return list(_Reader().read(text.splitlines()))


def _split(line: str) -> tuple[str, int, str]:
    """Return a line without its trailing comment, the comment's column or -1, and the comment."""
    quote = ""
    for column, letter in enumerate(line):
        if letter in "\"'" and quote in ("", letter):
            quote = "" if quote else letter
        if letter == "#" and not quote and line[column - 1] == " ":
            return line[:column].rstrip(), column, line[column + 1 :].strip()
    return line.rstrip(), -1, ""


def default_of(values: Mapping[str, Any], entry: Entry) -> str | None:
    """Return the value of a key, a list in YAML's flow style; None for a map whose keys follow."""
    if entry.is_optional or entry.value:
        return entry.value or None
    found: Any = values
    for key in entry.path:
        found = found[key]
    if isinstance(found, dict):
        return None
    shown: str = yaml.safe_dump(found, default_flow_style=True, width=10**6, sort_keys=False)
    return shown.strip()
