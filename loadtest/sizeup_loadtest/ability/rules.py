"""Instructions that can be verified without a judge, by how many must be kept at one time."""

import json
import re
from random import Random
from typing import Any

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import WORDS

_SUBJECTS = ("the sea", "a small town", "winter", "a long journey", "music", "a garden", "rain")


def instructions(draw: Random, count: int) -> Question:
    """Write a text of an exact number of words that keeps `count` rules, that one included."""
    first, last, forbidden = *draw.sample(WORDS, 2), draw.choice("jkpquvxz")
    while forbidden in first + last:
        forbidden = draw.choice("jkpquvxz")
    upper = draw.random() < 0.5
    known: dict[str, tuple[object, str]] = {
        "upper": (upper, f"Use only {'capital' if upper else 'small'} letters."),
        "first": (first, f'The first word is "{first}".'),
        "last": (last, f'The last word is "{last}".'),
        "without": (forbidden, f'Do not use the letter "{forbidden}".'),
        "commas": (0, "Do not use a comma."),
    }
    chosen = sorted(draw.sample(sorted(known), count - 1))
    words, subject = draw.randint(6, 15), draw.choice(_SUBJECTS)
    said = [f"Write exactly {words} words about {subject}.", *(known[name][1] for name in chosen)]
    rules = {"words": words, **{name: known[name][0] for name in chosen}}
    text = " ".join(said) + " Answer with the text only."
    return Question(text, text, json.dumps(rules), "rules")


def kept(text: str, rules: dict[str, Any]) -> bool:
    """Tell whether a text keeps every rule."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text)
    return bool(words) and all(_keeps(text, words, *rule) for rule in rules.items())


def _keeps(text: str, words: list[str], name: str, value: Any) -> bool:
    match name:
        case "words":
            return bool(len(words) == value)
        case "upper":
            return text == (text.upper() if value else text.lower())
        case "first":
            return bool(words[0].lower() == value)
        case "last":
            return bool(words[-1].lower() == value)
        case "without":
            return value not in text.lower()
        case "commas":
            return not set(text) & {",", "，"}
    raise ValueError(f"no such rule: {name}")
