"""Shapes and training budgets of the toy models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
WORK = FOLDER / ".work"  # checkpoints; ignored by git
SEED = 20_261
ITEMS_PER_STEP = 64  # about 3,000 tokens


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of a model, its budget in minutes of one core, and its peak learning rate.

    The rate decreases with depth: larger models do not converge at the best rate of the smallest.
    With `grown_from` training starts from the weights of that stage instead of random ones.
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
# Intermediate stages for the larger models, trained at the smallest shape, where a step is cheapest
PRACTICE: dict[str, Size] = {
    size.name: size
    for size in (
        Size("lookups", 3, 128, 4, 2, 224, minutes=4, rate=4e-3, grown_from="toy-0.5m"),
        Size("sums", 3, 128, 4, 2, 224, minutes=8, rate=4e-3, grown_from="lookups"),
    )
}
FIRST = "toy-0.5m"
# In training order
STAGES: dict[str, Size] = {FIRST: SIZES[FIRST]} | PRACTICE | SIZES
