"""Say how big each model of the ladder is and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
WORK = FOLDER / ".work"  # checkpoints and logs; not in git
SEED = 20_261
ITEMS_PER_STEP = 64  # about 3,000 tokens


@dataclass(frozen=True, slots=True)
class Size:
    """Hold one model's shape, its budget in minutes of one core, and its peak learning rate.

    The rate falls with depth: the one the smallest learns fastest at keeps the larger restless.
    A model grown from another starts with that one's layers and ability.
    """

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    minutes: float
    rate: float
    grown_from: str | None = None


SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("toy-0.5m", 3, 128, 4, 2, 224, minutes=8, rate=4e-3),
        Size("toy-2m", 5, 192, 6, 3, 480, minutes=12, rate=3e-3, grown_from="lookups"),
        Size("toy-5m", 8, 256, 8, 4, 512, minutes=14, rate=1.5e-3, grown_from="sums"),
    )
}
# Stages on the way to the larger models, practised at the smallest shape, where a step costs least
PRACTICE: dict[str, Size] = {
    size.name: size
    for size in (
        Size("lookups", 3, 128, 4, 2, 224, minutes=4, rate=4e-3, grown_from="toy-0.5m"),
        Size("sums", 3, 128, 4, 2, 224, minutes=8, rate=4e-3, grown_from="lookups"),
    )
}
FIRST = "toy-0.5m"
# In the order they are trained
STAGES: dict[str, Size] = {FIRST: SIZES[FIRST]} | PRACTICE | SIZES
