"""Values of a compare's lines. A value of another type than the gateway's counts as absent."""

from collections.abc import Mapping
from dataclasses import dataclass

_LARGEST = 1e15
"""Beyond every duration, rate and count; JSON knows larger numbers, and infinite ones."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The price of the seconds that an answer took."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What the gateway measured for an answer; None is unknown."""

    ttft_seconds: float | None = None
    tokens_per_second: float | None = None
    total_seconds: float | None = None
    tokens: int | None = None
    at_once: int | None = None
    """Sizes that were generating at the same time, this one included."""
    cost: Cost | None = None


def figures_of(value: object) -> Figures | None:
    if not isinstance(value, Mapping):
        return None
    return Figures(
        ttft_seconds=number(value.get("ttft_seconds")),
        tokens_per_second=number(value.get("tokens_per_second")),
        total_seconds=number(value.get("total_seconds")),
        tokens=whole(value.get("tokens")),
        at_once=whole(value.get("at_once")),
        cost=_cost(value.get("cost")),
    )


def _cost(value: object) -> Cost | None:
    if not isinstance(value, Mapping):
        return None
    amount = number(value.get("amount"))
    return None if amount is None else Cost(amount, text(value.get("currency")))


def number(value: object) -> float | None:
    """Return a number that is not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _LARGEST else None


def whole(value: object) -> int | None:
    """Return a whole number that is not negative, else None."""
    found = number(value)
    return None if found is None else int(found)


def text(value: object) -> str:
    """Return a string, else an empty one."""
    return value if isinstance(value, str) else ""
