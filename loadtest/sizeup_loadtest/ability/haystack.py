"""One fact in a long text that has others like it, by the text's length."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import CHARACTERS_ZH, CITIES, CITIES_ZH
from sizeup_loadtest.workload import filler_text

_LIKE_IT = 4
"""Facts of the same form about other places: the text must be read, not only searched."""


def needle(draw: Random, words: int) -> Question:
    """Find a number in a text of some words."""
    cities = draw.sample(CITIES, _LIKE_IT)
    codes = [str(code) for code in draw.sample(range(10_000, 100_000), _LIKE_IT)]
    told = [f"The code of {c} is {n}." for c, n in zip(cities, codes, strict=True)]
    parts = [filler_text.text(draw, max(1, words // (_LIKE_IT + 1))) for _ in range(_LIKE_IT + 1)]
    text = _mixed(draw, parts, told, " ")
    question = f"{text}\n\nWhat is the code of {cities[0]}? Answer with the number only."
    return Question(cities[0] + codes[0], question, codes[0], "number")


def needle_zh(draw: Random, characters: int) -> Question:
    """Find a number in a Chinese text of some characters."""
    cities = draw.sample(CITIES_ZH, _LIKE_IT)
    codes = [str(code) for code in draw.sample(range(10_000, 100_000), _LIKE_IT)]
    told = [f"{c}的代码是{n}。" for c, n in zip(cities, codes, strict=True)]
    parts = [_text_zh(draw, characters // (_LIKE_IT + 1)) for _ in range(_LIKE_IT + 1)]
    question = f"{_mixed(draw, parts, told, '')}\n\n{cities[0]}的代码是多少？只回答数字。"
    return Question(cities[0] + codes[0], question, codes[0], "number")


def _mixed(draw: Random, parts: list[str], told: list[str], gap: str) -> str:
    """Put the facts between the parts, in any order."""
    between = [*draw.sample(told, len(told)), ""]
    pairs = (piece for pair in zip(parts, between, strict=True) for piece in pair if piece)
    return gap.join(pairs)


def _text_zh(draw: Random, characters: int) -> str:
    rows = max(1, characters // 9)
    return "".join("".join(draw.choices(CHARACTERS_ZH, k=8)) + "。" for _ in range(rows))
