"""Where names go so that none covers another. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Line = tuple[tuple[float, float], tuple[float, float]]
"""From a point to another."""
CHARACTER = 7.3
"""Width of a character at the size of labels, in pixels; wide enough for most."""
HEIGHT = 15.0
_BASELINE = 11.5
"""From the top of a label down to where its letters stand."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Tell whether two rectangles share more than an edge."""
        apart_x = self.right <= other.left or other.right <= self.left
        return not (apart_x or self.bottom <= other.top or other.bottom <= self.top)

    def crossed(self, line: Line) -> bool:
        """Tell whether a straight line goes through a rectangle (Liang and Barsky 1984)."""
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
        """Tell whether a rectangle lies within another."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a label's baseline begins, is centred, or ends."""

    x: float
    y: float
    anchor: str


def _candidates(x: float, y: float, radius: float, width: float) -> list[tuple[Placed, Box]]:
    """Return places around a disc, best first: right, left, above, below, then further away.

    Above and below a label may also begin or end at the disc's middle.
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
            Placed(at, top + _BASELINE, anchor),
            Box(at - left[anchor], top, at - left[anchor] + width, top + HEIGHT),
        )
        for anchor, at, top in found
    ]


def around(
    discs: Sequence[tuple[float, float, float]],
    texts: Sequence[str],
    within: Box,
    lines: Sequence[Line] = (),
) -> list[Placed]:
    """Place a label at every disc (x, y, radius), away from discs and labels placed before.

    Off all lines too, where there is such a place.
    """
    taken = [Box(x - r, y - r, x + r, y + r) for x, y, r in discs]
    placed = []
    for (x, y, radius), text in zip(discs, texts, strict=True):
        options = _candidates(x, y, radius, len(text) * CHARACTER)
        free = [
            option
            for option in options
            if option[1].inside(within) and not any(option[1].overlaps(box) for box in taken)
        ]
        clear = [one for one in free if not any(one[1].crossed(line) for line in lines)]
        best = (clear or free or options)[0]
        taken.append(best[1])
        placed.append(best[0])
    return placed


def spread(heights: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Push heights apart, downwards and then up from the bottom, keeping their order."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    limit = bottom
    for i in reversed(order):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved
