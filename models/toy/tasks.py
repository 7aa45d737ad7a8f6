"""The generators of the toy tasks: pure functions of a seeded `random.Random`, with known answers.

The subject of an item (the two numbers of an addition, the words of a list) determines by its hash
whether it is used for training or for grading, so graded items differ in content, and not only in
wording, from all training items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from words import (
    COLOURS,
    COLOURS_ZH,
    NAMES,
    NAMES_ZH,
    THINGS,
    THINGS_ZH,
    WORDS,
    WORDS_ZH,
)

Message = dict[str, Any]
Tool = dict[str, Any]
Part = Literal["train", "grade"]
# One subject in ten is reserved for grading: 500 pairs of two-digit numbers in the smallest kind.
GRADE_BUCKETS = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A further question about the content of an item."""

    subject: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its only correct answer.

    `messages` ends with the turn to answer; `subject` is the content without its wording, which
    `split` hashes; `more` are further questions about the same content.
    """

    kind: str
    subject: str
    messages: tuple[Message, ...]
    answer: str
    tools: tuple[Tool, ...] = ()
    more: tuple[Question, ...] = ()

    @property
    def prompt(self) -> str:
        """The text of the turn to answer."""
        return str(self.messages[-1]["content"])


Generator = Callable[[Random], Item]


def split(kind: str, subject: str) -> Part:
    """Return the part of the split that a subject belongs to.

    Kinds with the same prefix before the dash (`add-2`, `add-zh`) share the split, so a sum that is
    trained in one language is not graded in another.
    """
    family = kind.partition("-")[0]
    digest = hashlib.blake2b(f"{family}:{subject}".encode(), digest_size=8).digest()
    return "grade" if int.from_bytes(digest, "big") % GRADE_BUCKETS == 0 else "train"


def single_turn(kind: str, subject: str, prompt: str, answer: str) -> Item:
    """Return an item with a single user turn."""
    return Item(kind, subject, ({"role": "user", "content": prompt},), answer)


def _operands(rng: Random, digits: int) -> tuple[int, int]:
    """Draw two numbers, one with exactly `digits` digits (at most, if `digits` is 2)."""
    low = 0 if digits <= 2 else 10 ** (digits - 1)
    a = rng.randrange(low, 10**digits)
    b = rng.randrange(10 ** rng.randint(max(1, digits - 1), digits))
    return (a, b) if rng.random() < 0.5 else (b, a)


def _add(kind: str, rng: Random, digits: int, wordings: tuple[str, ...]) -> Item:
    a, b = _operands(rng, digits)
    subject = f"{min(a, b)}+{max(a, b)}"
    return single_turn(kind, subject, rng.choice(wordings).format(a=a, b=b), str(a + b))


ADD_WORDINGS = ("What is {a} + {b}?", "{a} + {b} = ?", "Add {a} and {b}.", "What is {a} plus {b}?")
ADD_WORDINGS_ZH = ("{a} 加 {b} 等于多少？", "计算 {a} + {b}", "{a} + {b} 是多少？")


def add_2(rng: Random) -> Item:
    """Add numbers of one or two digits."""
    return _add("add-2", rng, 2, ADD_WORDINGS)


def add_3(rng: Random) -> Item:
    """Add numbers of up to three digits."""
    return _add("add-3", rng, 3, ADD_WORDINGS)


def add_4(rng: Random) -> Item:
    """Add numbers of up to four digits."""
    return _add("add-4", rng, 4, ADD_WORDINGS)


def add_zh(rng: Random) -> Item:
    """Add numbers of up to three digits, in Chinese."""
    return _add("add-zh", rng, rng.randint(2, 3), ADD_WORDINGS_ZH)


def _listed(rng: Random, wanted: str, others: list[str], length: int) -> list[str]:
    """Mix 0 to `length` copies of `wanted` into a list of `length` entries."""
    times = rng.randint(0, length)
    entries = [wanted] * times + [rng.choice(others) for _ in range(length - times)]
    rng.shuffle(entries)
    return entries


def _count(kind: str, few: list[str], entries: list[str]) -> Item:
    """Count the first of `few` in `entries`.

    The list precedes the question, so that the word in question can attend to its occurrences.
    """
    text = " ".join(entries)
    first, *more = (
        Question(f"{word}:{text}", f"How many times is {word}?", str(entries.count(word)))
        for word in few
    )
    item = single_turn(kind, first.subject, f"In the list {text}. {first.text}", first.answer)
    return replace(item, more=tuple(more))


def count_words(rng: Random) -> Item:
    """Count a word in a list of 2 to 6 words."""
    few = rng.sample(WORDS, 4)
    return _count("count-words", few, _listed(rng, few[0], few[1:], rng.randint(2, 6)))


def count_letters(rng: Random) -> Item:
    """Count a letter in a list of 3 to 8 letters."""
    few = rng.sample("abcdefgh", 4)
    return _count("count-letters", few, _listed(rng, few[0], few[1:], rng.randint(3, 8)))


def copy(rng: Random) -> Item:
    """Repeat 2 to 10 words."""
    words = " ".join(rng.choices(WORDS, k=rng.randint(2, 10)))
    wording = rng.choice(("Repeat: {l}", "Say this again: {l}", "Copy these words: {l}"))
    return single_turn("copy", words, wording.format(l=words), words)


def copy_zh(rng: Random) -> Item:
    """Repeat 2 to 7 Chinese characters."""
    words = "".join(rng.choices(WORDS_ZH, k=rng.randint(2, 7)))
    return single_turn(
        "copy-zh", words, rng.choice(("复述：{l}", "请重复：{l}")).format(l=words), words
    )


def reverse(rng: Random) -> Item:
    """Reverse 2 to 8 words."""
    words = rng.choices(WORDS, k=rng.randint(2, 8))
    wording = rng.choice(
        ("Reverse: {l}", "Say these words backwards: {l}", "Reverse the words: {l}")
    )
    text = " ".join(words)
    return single_turn("reverse", text, wording.format(l=text), " ".join(reversed(words)))


def _facts(kind: str, rng: Random, stated: str, questions: list[tuple[str, str]], gap: str) -> Item:
    """Return one question about the stated facts, and three further questions."""
    first, *more = (
        Question(stated + gap.strip("。") + text, text, answer)
        for text, answer in rng.sample(questions, 4)
    )
    item = single_turn(kind, first.subject, stated + gap + first.text, first.answer)
    return replace(item, more=tuple(more))


def fact(rng: Random) -> Item:
    """Answer a question about one of 2 to 4 stated facts."""
    count = rng.randint(2, 4)
    names, things = rng.sample(NAMES, count), rng.sample(THINGS, count)
    colours = rng.choices(COLOURS, k=count)
    facts = list(zip(names, colours, things, strict=True))
    questions = [(f"What does {n} have?", f"{n} has a {c} {t}.") for n, c, t in facts]
    questions += [(f"Who has the {t}?", n) for n, _, t in facts]
    questions += [(f"What colour is the {t}?", c) for _, c, t in facts]
    stated = " ".join(f"{n} has a {c} {t}." for n, c, t in facts)
    return _facts("fact", rng, stated, questions, " ")


def fact_zh(rng: Random) -> Item:
    """Answer a question about one of 2 to 3 facts stated in Chinese."""
    count = rng.randint(2, 3)
    names, things = rng.sample(NAMES_ZH, count), rng.sample(THINGS_ZH, count)
    colours = rng.choices(COLOURS_ZH, k=count)
    facts = list(zip(names, colours, things, strict=True))
    questions = [(f"{n}有什么？", f"{n}有{c}{t}") for n, c, t in facts] + [
        (f"谁有{t}？", n) for n, _, t in facts
    ]
    stated = "，".join(f"{n}有{c}{t}" for n, c, t in facts)
    return _facts("fact-zh", rng, stated, questions, "。")


def sequence(rng: Random) -> Item:
    """Count upwards over 4 to 40 numbers; a long answer, to observe streaming."""
    first = 1 if rng.random() < 0.1 else rng.randint(0, 60)
    last = first + rng.choice((rng.randint(3, 20), rng.randint(3, 39)))
    wording = rng.choice(("Count from {a} to {b}.", "Count from {a} to {b}"))
    answer = " ".join(str(n) for n in range(first, last + 1))
    return single_turn("sequence", f"{first}-{last}", wording.format(a=first, b=last), answer)


def recall(rng: Random) -> Item:
    """Recall one of one to three facts stated in earlier turns."""
    names = rng.sample(NAMES, rng.randint(1, 3))
    owned = {n: f"a {rng.choice(COLOURS)} {rng.choice(THINGS)}" for n in names}
    messages: list[Message] = []
    for name, thing in owned.items():
        messages.append({"role": "user", "content": f"Remember: {name} has {thing}."})
        messages.append({"role": "assistant", "content": f"OK, {name} has {thing}."})
    name = rng.choice(names)
    messages.append({"role": "user", "content": f"What does {name} have?"})
    subject = " ".join(str(m["content"]) for m in messages if m["role"] == "user")
    return Item("recall", subject, tuple(messages), f"{name} has {owned[name]}.")
