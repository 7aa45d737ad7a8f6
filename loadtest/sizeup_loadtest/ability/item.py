"""One question, and how its answer is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from sizeup_loadtest.workload.prompts import ChatMessage

AnswerFormat = Literal["number", "numbers", "words", "letters", "choice", "json", "rules"]
"""number: one number. numbers, words: a list, in order. letters: a row of characters.
choice: one of `options`, and no other. json: an equal value. rules: see `rules.py`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its only right answer."""

    kind: str
    level: int
    key: str
    """Names it in a run, the same for every size."""
    messages: tuple[ChatMessage, ...]
    expected: str
    """Lists are joined by spaces; `json` and `rules` are JSON."""
    check: AnswerFormat
    options: tuple[str, ...] = ()
    """What `choice` chooses from, `expected` among them."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a kind makes: an item that has not got its place yet."""

    subject: str
    """What it is about, whatever the wording; two items of a level never share it."""
    text: str
    expected: str
    check: AnswerFormat
    options: tuple[str, ...] = ()


MakeQuestion = Callable[[Random, int], Question]
"""Draw a question of a size, which is what grows with the level: digits, steps, words."""
