"""Positions of the boxes and lines of a layered diagram: importers above what they import.

Long arrows get a point on every rank that they pass, so that they run between the boxes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

BOX_HEIGHT = 30.0
_CHARACTER = 7.6
"""Mean width of a character of 13 px."""
_PADDING = 22.0
_COLUMN_GAP = 16.0
_ROW_GAP = 34.0
_LINE_WIDTH = 6.0
"""Room for an arrow that passes between two boxes."""
_SWEEPS = 12

Node = tuple[str, str]
"""A room and an empty string, or the two ends of an arrow that passes a rank."""


@dataclass(frozen=True, slots=True)
class Box:
    """A room: its centre and width."""

    name: str
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes, and arrows as the points that they pass; the origin is at the top left."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


def lay_out(ranks: Mapping[str, int], arrows: Mapping[str, Iterable[str]]) -> Layout:
    """Place rooms by rank, the highest on top; `arrows` name what each room imports."""
    chains = [_chain(ranks, a, b) for a in sorted(arrows) for b in sorted(arrows[a])]
    rows = _rows(ranks, chains)
    links = [link for chain in chains for link in pairwise(chain)]
    neighbours = _neighbours(rows, links)
    _order(rows, neighbours)
    x = _columns(rows, neighbours)
    left = min(x[n] - _width(n) / 2 for row in rows for n in row)
    x = {node: place - left for node, place in x.items()}
    y = {n: i * (BOX_HEIGHT + _ROW_GAP) + BOX_HEIGHT / 2 for i, row in enumerate(rows) for n in row}
    boxes = tuple(Box(n[0], x[n], y[n], _width(n)) for row in rows for n in row if not n[1])
    paths = tuple(tuple((x[n], y[n]) for n in chain) for chain in chains)
    width = max(x[n] + _width(n) / 2 for row in rows for n in row)
    return Layout(boxes, paths, width, len(rows) * (BOX_HEIGHT + _ROW_GAP) - _ROW_GAP)


def _chain(ranks: Mapping[str, int], start: str, end: str) -> list[Node]:
    passed = range(ranks[start] - 1, ranks[end], -1)
    return [(start, ""), *((start, f"{end} {rank}") for rank in passed), (end, "")]


def _rows(ranks: Mapping[str, int], chains: Sequence[Sequence[Node]]) -> list[list[Node]]:
    """Return the nodes of each rank, the highest first."""
    top = max(ranks.values(), default=0)
    rows: list[list[Node]] = [[] for _ in range(top + 1)]
    for name in sorted(ranks):
        rows[top - ranks[name]].append((name, ""))
    for start, *passed, _ in chains:
        for step, node in enumerate(passed, 1):
            rows[top - ranks[start[0]] + step].append(node)
    return rows


def _neighbours(
    rows: Sequence[Sequence[Node]], links: Iterable[tuple[Node, Node]]
) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {node: [] for row in rows for node in row}
    for a, b in links:
        found[a].append(b)
        found[b].append(a)
    return found


def _order(rows: list[list[Node]], neighbours: Mapping[Node, Sequence[Node]]) -> None:
    """Sort each row by the mean place of its neighbours in the row before, down and up."""
    for sweep in range(_SWEEPS):
        sequence = rows if sweep % 2 == 0 else rows[::-1]
        for before, row in pairwise(sequence):
            place = {node: i / max(1, len(before) - 1) for i, node in enumerate(before)}
            own = {node: i / max(1, len(row) - 1) for i, node in enumerate(row)}
            means = {n: _mean([place[m] for m in neighbours[n] if m in place], own[n]) for n in row}
            row.sort(key=means.__getitem__)


def _columns(
    rows: Sequence[Sequence[Node]], neighbours: Mapping[Node, Sequence[Node]]
) -> dict[Node, float]:
    """Return the horizontal centre of each node, near those of its neighbours."""
    x = {
        node: place for row in rows for node, place in _packed(row, dict.fromkeys(row, 0.0)).items()
    }
    for _ in range(_SWEEPS):
        for row in rows:
            x |= _packed(row, {n: _mean([x[m] for m in neighbours[n]], x[n]) for n in row})
    return x


def _packed(row: Sequence[Node], wanted: Mapping[Node, float]) -> dict[Node, float]:
    """Return places near the wanted ones, in order and apart.

    The mean of the two packings, from the left and from the right, keeps the distances of both.
    """
    rightward = _from_left(row, wanted)
    mirrored = _from_left(row[::-1], {node: -place for node, place in wanted.items()})
    return {node: (rightward[node] - mirrored[node]) / 2 for node in row}


def _from_left(row: Sequence[Node], wanted: Mapping[Node, float]) -> dict[Node, float]:
    places: dict[Node, float] = {}
    edge = float("-inf")
    for node in row:
        places[node] = max(wanted[node], edge + _COLUMN_GAP + _width(node) / 2)
        edge = places[node] + _width(node) / 2
    return places


def _width(node: Node) -> float:
    return _LINE_WIDTH if node[1] else len(node[0]) * _CHARACTER + _PADDING


def _mean(values: Sequence[float], otherwise: float) -> float:
    return fmean(values) if values else otherwise
