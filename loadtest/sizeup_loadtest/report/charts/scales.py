"""Scales from values to pixels, with ticks. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Scale(Protocol):
    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...

    def at(self, value: float) -> float:
        """Return the coordinate of a value."""

    def ticks(self) -> tuple[float, ...]:
        """Return the values with a tick."""


@dataclass(frozen=True, slots=True)
class Linear:
    low: float
    high: float
    begin: float
    end: float
    count: int = 5

    def at(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> tuple[float, ...]:
        """Return round values within the domain."""
        step = _step(self.high - self.low, self.count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(i * step for i in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Log:
    """A logarithmic scale; the domain is above 0."""

    low: float
    high: float
    begin: float
    end: float
    count: int = 6

    def at(self, value: float) -> float:
        """Return the coordinate of a value; 0 and below are at the low end."""
        share: float = math.log(max(value, self.low * 1e-3) / self.low) / math.log(
            self.high / self.low
        )
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> tuple[float, ...]:
        """Return 1, 2, 5 of every decade, or 1, 3, or 1 where those are too many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found: tuple[float, ...] = ()
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = tuple(
                float(f"{digit}e{decade}")
                for decade in range(first, last + 1)
                for digit in digits
                if self.low * (1 - 1e-9) <= float(f"{digit}e{decade}") <= self.high * (1 + 1e-9)
            )
            if len(found) <= self.count:
                break
        return found


def _step(span: float, count: int) -> float:
    rough = span / max(1, count)
    decade = 10.0 ** math.floor(math.log10(rough))
    return next((s * decade for s in _STEPS if s * decade >= rough * (1 - 1e-9)), 10 * decade)


def from_zero(values: Iterable[float], begin: float, end: float, count: int = 5) -> Linear:
    """Return a linear scale from 0 to a round value above the maximum."""
    top = max((v for v in values if v > 0), default=1.0)
    step = _step(top, count)
    return Linear(0.0, math.ceil(top / step - 1e-9) * step, begin, end, count)


def logarithmic(values: Iterable[float], begin: float, end: float, count: int = 6) -> Log:
    """Return a logarithmic scale with a margin at both ends; values are above 0."""
    given = sorted(values)
    room = max((given[-1] / given[0]) ** 0.06, 1.15)
    return Log(given[0] / room, given[-1] * room, begin, end, count)
