"""Label placement without overlaps. Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Line = tuple[tuple[float, float], tuple[float, float]]
"""Start and end point."""
_CHARACTER, _IDEOGRAPH = 8.2, 13.0
"""Widths of characters of a label in pixels, in a wide font as DejaVu Sans."""
HEIGHT = 15.0
_BASELINE = 11.5
"""From the top of a label to its baseline."""


def width(text: str) -> float:
    """Return the width of a label, as an upper bound for most."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return wide * _IDEOGRAPH + (len(text) - wide) * _CHARACTER


def shortened(name: str, most: int = 18) -> str:
    """Shorten a long name at its ends: sizes differ before `-Instruct`, and after `Qwen/`."""
    if len(name) <= most:
        return name
    model = name.rpartition("/")[2] or name
    return model if len(model) <= most else f"{model[: most - 1]}…"


@dataclass(frozen=True, slots=True)
class Box:
    """An occupied rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Whether two rectangles share more than an edge."""
        apart_x = self.right <= other.left or other.right <= self.left
        return not (apart_x or self.bottom <= other.top or other.bottom <= self.top)

    def crossed(self, line: Line) -> bool:
        """Whether a line crosses the rectangle (Liang and Barsky 1984)."""
        (x0, y0), (x1, y1) = line
        enter, leave = 0.0, 1.0
        for step, low, high in (
            (x1 - x0, self.left - x0, self.right - x0),
            (y1 - y0, self.top - y0, self.bottom - y0),
        ):
            if step == 0:
                if low > 0 or high < 0:
                    return False
                continue
            near, far = sorted((low / step, high / step))
            enter, leave = max(enter, near), min(leave, far)
        return enter < leave

    def inside(self, other: "Box") -> bool:
        """Whether the rectangle is within another."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True, slots=True)
class LabelPosition:
    """The anchor point of a label on its baseline."""

    x: float
    y: float
    anchor: str


def _candidates(x: float, y: float, radius: float, width: float) -> list[tuple[LabelPosition, Box]]:
    """Return positions around a disc in order of preference: right, left, above, below, then
    further away. Above and below, a label may also start or end at the centre of the disc.
    """
    found = []
    for away in (5.0, 20.0, 35.0):
        r = radius + away
        found += [("start", x + r, y - HEIGHT / 2), ("end", x - r, y - HEIGHT / 2)]
        for top in (y - r - HEIGHT, y + r):
            found += [("middle", x, top), ("start", x + 5, top), ("end", x - 5, top)]
    left = {"start": 0.0, "middle": width / 2, "end": width}
    return [
        (
            LabelPosition(at, top + _BASELINE, anchor),
            Box(at - left[anchor], top, at - left[anchor] + width, top + HEIGHT),
        )
        for anchor, at, top in found
    ]


def around(
    discs: Sequence[tuple[float, float, float]],
    texts: Sequence[str],
    within: Box,
    lines: Sequence[Line] = (),
) -> list[LabelPosition]:
    """Place a label at every disc (x, y, radius) without overlapping discs or earlier labels.

    Avoids crossing lines too, where possible.
    """
    occupied = [Box(x - r, y - r, x + r, y + r) for x, y, r in discs]
    placed = []
    for (x, y, radius), text in zip(discs, texts, strict=True):
        options = _candidates(x, y, radius, width(text))
        free = [
            option
            for option in options
            if option[1].inside(within) and not any(option[1].overlaps(box) for box in occupied)
        ]
        clear = [one for one in free if not any(one[1].crossed(line) for line in lines)]
        best = (clear or free or options)[0]
        occupied.append(best[1])
        placed.append(best[0])
    return placed


def spread(heights: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Move heights apart by at least a gap, keeping their order and within the bottom."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    limit = bottom
    for i in reversed(order):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved
