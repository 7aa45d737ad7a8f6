"""Needle in a haystack with distractors; the level sets the length of the text."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import CHARACTERS_ZH, CITIES, CITIES_ZH
from sizeup_loadtest.workload import filler_text

_NEEDLES = 4
"""The target, and distractors of the same form."""


def needle(random: Random, words: int) -> Question:
    """Find a number in a text of `words` words."""
    cities = random.sample(CITIES, _NEEDLES)
    codes = [str(code) for code in random.sample(range(10_000, 100_000), _NEEDLES)]
    facts = [f"The code of {c} is {n}." for c, n in zip(cities, codes, strict=True)]
    parts = [filler_text.text(random, max(1, words // (_NEEDLES + 1))) for _ in range(_NEEDLES + 1)]
    text = _mixed(random, parts, facts, " ")
    question = f"{text}\n\nWhat is the code of {cities[0]}? Answer with the number only."
    return Question(cities[0] + codes[0], question, codes[0], "number")


def needle_zh(random: Random, characters: int) -> Question:
    """Find a number in a Chinese text of `characters` characters."""
    cities = random.sample(CITIES_ZH, _NEEDLES)
    codes = [str(code) for code in random.sample(range(10_000, 100_000), _NEEDLES)]
    facts = [f"{c}的代码是{n}。" for c, n in zip(cities, codes, strict=True)]
    parts = [_text_zh(random, characters // (_NEEDLES + 1)) for _ in range(_NEEDLES + 1)]
    question = f"{_mixed(random, parts, facts, '')}\n\n{cities[0]}的代码是多少？只回答数字。"
    return Question(cities[0] + codes[0], question, codes[0], "number")


def _mixed(random: Random, parts: list[str], facts: list[str], gap: str) -> str:
    """Insert the facts between the parts, in random order."""
    between = [*random.sample(facts, len(facts)), ""]
    pairs = (piece for pair in zip(parts, between, strict=True) for piece in pair if piece)
    return gap.join(pairs)


def _text_zh(random: Random, characters: int) -> str:
    rows = max(1, characters // 9)
    return "".join("".join(random.choices(CHARACTERS_ZH, k=8)) + "。" for _ in range(rows))
