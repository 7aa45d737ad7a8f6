"""Where names go so that none covers another. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

CHARACTER = 7.3
"""Width of a character at the size of labels, in pixels; wide enough for most."""
HEIGHT = 15.0


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
    """Return places around a disc, best first: right, left, above, below, then further away."""
    found = []
    for away in (5.0, 20.0, 35.0):
        r = radius + away
        side = (y - HEIGHT / 2, y + HEIGHT / 2)
        found += [
            (Placed(x + r, y + 4, "start"), Box(x + r, side[0], x + r + width, side[1])),
            (Placed(x - r, y + 4, "end"), Box(x - r - width, side[0], x - r, side[1])),
            (
                Placed(x, y - r, "middle"),
                Box(x - width / 2, y - r - HEIGHT, x + width / 2, y - r),
            ),
            (
                Placed(x, y + r + 11, "middle"),
                Box(x - width / 2, y + r, x + width / 2, y + r + HEIGHT),
            ),
        ]
    return found


def around(
    discs: Sequence[tuple[float, float, float]], texts: Sequence[str], within: Box
) -> list[Placed]:
    """Place a label at every disc (x, y, radius), away from discs and labels placed before."""
    taken = [Box(x - r, y - r, x + r, y + r) for x, y, r in discs]
    placed = []
    for (x, y, radius), text in zip(discs, texts, strict=True):
        options = _candidates(x, y, radius, len(text) * CHARACTER)
        free = [
            option
            for option in options
            if option[1].inside(within) and not any(option[1].overlaps(box) for box in taken)
        ]
        best = (free or options)[0]
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
