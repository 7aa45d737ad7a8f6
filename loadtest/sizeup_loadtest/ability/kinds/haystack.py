"""Needle in a haystack with distractors; the level sets the length of the text."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import CITIES
from sizeup_loadtest.workload import filler_text

_NEEDLES = 4
"""The target, and distractors of the same form."""


def needle(random: Random, words: int) -> Question:
    """Find a number in a text of `words` words."""
    cities = random.sample(CITIES, _NEEDLES)
    codes = [str(code) for code in random.sample(range(10_000, 100_000), _NEEDLES)]
    facts = [f"The code of {c} is {n}." for c, n in zip(cities, codes, strict=True)]
    parts = [filler_text.text(random, max(1, words // (_NEEDLES + 1))) for _ in range(_NEEDLES + 1)]
    between = [*random.sample(facts, len(facts)), ""]
    text = " ".join(piece for pair in zip(parts, between, strict=True) for piece in pair if piece)
    question = f"{text}\n\nWhat is the code of {cities[0]}? Answer with the number only."
    return Question(cities[0] + codes[0], question, codes[0], "number")
