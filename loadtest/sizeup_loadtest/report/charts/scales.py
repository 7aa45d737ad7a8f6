"""Scales from values to pixels, with ticks. Pure."""

import math
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` to pixels from `begin` to `end`."""

    low: float
    """Above 0 where the scale is logarithmic."""
    high: float
    begin: float
    end: float
    count: int = 5
    """Ticks, at most."""
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return the coordinate of a value; on a logarithmic scale 0 and below are far below it."""
        if self.is_log:
            above_zero = max(value, self.low * 1e-3)
            share = math.log(above_zero / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> tuple[float, ...]:
        """Return round values within the domain."""
        if self.is_log:
            return self._of_decades()
        step = _step(self.high - self.low, self.count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(i * step for i in range(first, last + 1))

    def _of_decades(self) -> tuple[float, ...]:
        """Return 1, 2, 5 of every decade, or 1, 3, or 1 where those are too many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found: tuple[float, ...] = ()
        for digits in ((1, 2, 5), (1, 3), (1,)):
            values = (float(f"{d}e{decade}") for decade in range(first, last + 1) for d in digits)
            low, high = self.low * (1 - 1e-9), self.high * (1 + 1e-9)
            found = tuple(value for value in values if low <= value <= high)
            if len(found) <= self.count:
                break
        return found


def _step(span: float, count: int) -> float:
    rough = span / max(1, count)
    decade = 10.0 ** math.floor(math.log10(rough))
    return next((s * decade for s in _STEPS if s * decade >= rough * (1 - 1e-9)), 10 * decade)


def from_zero(highest: float, begin: float, end: float, count: int) -> Scale:
    """Return a linear scale from 0 to a round value above the highest."""
    top = highest if highest > 0 else 1.0
    step = _step(top, count)
    return Scale(0.0, math.ceil(top / step - 1e-9) * step, begin, end, count)


def logarithmic(lowest: float, highest: float, begin: float, end: float, count: int) -> Scale:
    """Return a logarithmic scale with a margin at both ends; values are above 0."""
    room = max((highest / lowest) ** 0.06, 1.15)
    return Scale(lowest / room, highest * room, begin, end, count, is_log=True)
