"""A question and its expected answer."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from sizeup_loadtest.workload.prompt import ChatMessage

AnswerFormat = Literal[
    "exact", "number", "choice", "regex", "json", "numbers", "words", "letters", "rules"
]
"""exact: this text, whatever its case. number: one number. choice: exactly one of `options`.
regex: found anywhere. json: an equal value. numbers, words: an ordered list. letters: a sequence of
characters. rules: see `rules.py`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its only correct answer."""

    kind: str
    level: int
    key: str
    """Unique in a run, the same for every model."""
    messages: tuple[ChatMessage, ...]
    expected: str
    """Lists are joined with spaces; `json` and `rules` are JSON, `regex` is a pattern."""
    check: AnswerFormat
    options: tuple[str, ...] = ()
    """For `choice`, including `expected`."""


@dataclass(frozen=True, slots=True)
class Question:
    """A generated question, before it has a kind, a level and a key."""

    subject: str
    """Identifies the content, whatever the wording; unique in a level."""
    text: str
    expected: str
    check: AnswerFormat
    options: tuple[str, ...] = ()


MakeQuestion = Callable[[Random, int], Question]
"""Generates a question; the number grows with the level: digits, steps, words."""
