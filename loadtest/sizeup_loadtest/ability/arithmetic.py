"""Sums, differences and products, by the number of digits of both numbers."""

from random import Random

from sizeup_loadtest.ability.item import Question


def addition(draw: Random, digits: int) -> Question:
    """Add two numbers."""
    a, b = _pair(draw, digits)
    return _asked(f"{min(a, b)}+{max(a, b)}", f"What is {a} + {b}?", a + b)


def addition_zh(draw: Random, digits: int) -> Question:
    """Add two numbers, asked in Chinese."""
    a, b = _pair(draw, digits)
    return _asked(f"{min(a, b)}+{max(a, b)}", f"{a} 加 {b} 等于多少？", a + b)


def subtraction(draw: Random, digits: int) -> Question:
    """Subtract a number from another, which may be smaller."""
    a, b = _pair(draw, digits)
    return _asked(f"{a}-{b}", f"What is {a} - {b}?", a - b)


def multiplication(draw: Random, digits: int) -> Question:
    """Multiply two numbers."""
    a, b = _pair(draw, digits)
    return _asked(f"{min(a, b)}*{max(a, b)}", f"What is {a} * {b}?", a * b)


def _pair(draw: Random, digits: int) -> tuple[int, int]:
    low = 0 if digits == 1 else 10 ** (digits - 1)
    return draw.randrange(low, 10**digits), draw.randrange(low, 10**digits)


def _asked(subject: str, text: str, result: int) -> Question:
    return Question(subject, text, str(result), "number")
