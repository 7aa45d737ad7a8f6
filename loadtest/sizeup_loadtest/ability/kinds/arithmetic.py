"""Sums and products; the level sets the number of digits."""

from random import Random

from sizeup_loadtest.ability.item import Question


def addition(random: Random, digits: int) -> Question:
    a, b = _pair(random, digits)
    return _question(f"{min(a, b)}+{max(a, b)}", f"What is {a} + {b}?", a + b)


def addition_zh(random: Random, digits: int) -> Question:
    a, b = _pair(random, digits)
    return _question(f"{min(a, b)}+{max(a, b)}", f"{a} 加 {b} 等于多少？", a + b)


def multiplication(random: Random, digits: int) -> Question:
    a, b = _pair(random, digits)
    return _question(f"{min(a, b)}*{max(a, b)}", f"What is {a} * {b}?", a * b)


def _pair(random: Random, digits: int) -> tuple[int, int]:
    low = 0 if digits == 1 else 10 ** (digits - 1)
    return random.randrange(low, 10**digits), random.randrange(low, 10**digits)


def _question(subject: str, text: str, result: int) -> Question:
    return Question(subject, text, str(result), "number")
