"""Verifiable instructions; the level sets how many apply at once."""

import json
import re
from random import Random
from typing import Any

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import WORDS

_SUBJECTS = ("the sea", "a small town", "winter", "a long journey", "music", "a garden", "rain")


def instructions(random: Random, count: int) -> Question:
    """Ask for a text that follows `count` rules, an exact number of words among them."""
    first, last, forbidden = *random.sample(WORDS, 2), random.choice("jkpquvxz")
    while forbidden in first + last:
        forbidden = random.choice("jkpquvxz")
    upper = random.random() < 0.5
    known: dict[str, tuple[object, str]] = {
        "upper": (upper, f"Use only {'capital' if upper else 'small'} letters."),
        "first": (first, f'The first word is "{first}".'),
        "last": (last, f'The last word is "{last}".'),
        "without": (forbidden, f'Do not use the letter "{forbidden}".'),
        "commas": (0, "Do not use a comma."),
    }
    chosen = sorted(random.sample(sorted(known), count - 1))
    words, subject = random.randint(6, 15), random.choice(_SUBJECTS)
    sentences = [
        f"Write exactly {words} words about {subject}.",
        *(known[name][1] for name in chosen),
    ]
    rules = {"words": words, **{name: known[name][0] for name in chosen}}
    text = " ".join(sentences) + " Answer with the text only."
    return Question(text, text, json.dumps(rules), "rules")


def follows(text: str, rules: dict[str, Any]) -> bool:
    """Whether a text follows every rule."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text)
    return bool(words) and all(_follows(text, words, *rule) for rule in rules.items())


def _follows(text: str, words: list[str], name: str, value: Any) -> bool:
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
    raise ValueError(f"unknown rule: {name}")
