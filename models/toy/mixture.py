"""Know every kind of task, and draw items and whole conversations from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import chat_tasks
import lookups
import tasks
import tool_tasks
from tasks import Generator, Item, Message, Part, split
from words import SYSTEM_PROMPTS

GRADED: dict[str, Generator] = {
    "add-2": tasks.add_2,
    "add-3": tasks.add_3,
    "add-4": tasks.add_4,
    "add-zh": tasks.add_zh,
    "count-words": tasks.count_words,
    "count-letters": tasks.count_letters,
    "copy": tasks.copy,
    "copy-zh": tasks.copy_zh,
    "reverse": tasks.reverse,
    "fact": tasks.fact,
    "fact-zh": tasks.fact_zh,
    "recall": tasks.recall,
    "sequence": tasks.sequence,
    "tool-one": tool_tasks.tool_one,
    "tool-two": tool_tasks.tool_two,
    "tool-result": tool_tasks.tool_result,
}
UNGRADED: dict[str, Generator] = {
    "greeting": chat_tasks.greeting,
    "recite": lookups.recite,
    "pairs": lookups.pairs,
    "story": chat_tasks.story,
}
KINDS: dict[str, Generator] = GRADED | UNGRADED

# Share of each kind before the trainer moves it by the error it sees. Long answers get less.
BASE_WEIGHTS: dict[str, float] = dict.fromkeys(GRADED, 1.0) | {
    "add-2": 2.0,
    "add-3": 2.0,
    "add-4": 2.0,
    "sequence": 0.5,
    "tool-one": 0.7,
    "tool-two": 0.7,
    "tool-result": 0.5,
    "greeting": 0.25,
    "recite": 2.5,
    "story": 0.15,
}
# Shares while a small network practises what it learns late or never beside all the others
PRACTICE_WEIGHTS: dict[str, dict[str, float]] = {
    "lookups": dict.fromkeys(BASE_WEIGHTS, 0.02)
    | {"fact": 0.4, "fact-zh": 0.3, "recall": 0.3, "recite": 1.0, "pairs": 2.0},
    "sums": dict.fromkeys(BASE_WEIGHTS, 0.05)
    | {"add-2": 0.5, "add-3": 1.0, "add-4": 1.2, "add-zh": 0.7, "sequence": 0.4}
    | {"count-words": 0.3, "count-letters": 0.3, "tool-one": 0.4}
    | {"fact": 0.6, "fact-zh": 0.4, "recall": 0.3, "recite": 1.0, "pairs": 2.0},
}
SINGLE_TURN: tuple[str, ...] = (
    "add-2",
    "add-3",
    "copy",
    "reverse",
    "count-words",
    "fact",
    "copy-zh",
    "greeting",
)
SYSTEM_SHARE = 0.1  # clients send system prompts of their own, so the models must have met some
FURTHER_SHARE = 0.6  # of the further questions an item has at hand
CHAT_SHARE = 0.1  # and earlier turns about something else


def item(kind: str, rng: Random, part: Part | None = None) -> Item:
    """Draw one item of a kind, on the given side of the split (None: either side).

    Ungraded kinds have no grade side and are returned as drawn.
    """
    while True:
        drawn = KINDS[kind](rng)
        if part is None or kind in UNGRADED or split(kind, drawn.subject) == part:
            return drawn


def training_item(rng: Random, weights: Mapping[str, float]) -> Item:
    """Draw an item of the train side, sometimes with a system prompt or earlier turns before it."""
    kind = rng.choices(list(weights), weights=list(weights.values()))[0]
    drawn = item(kind, rng, "train")
    before: list[Message] = []
    if rng.random() < SYSTEM_SHARE:
        before.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    if rng.random() < CHAT_SHARE:
        earlier = item(rng.choice(SINGLE_TURN), rng, "train")
        before += [*earlier.messages, {"role": "assistant", "content": earlier.answer}]
    told = _asked_further(rng, drawn)
    return replace(told, messages=(*before, *told.messages))


def _asked_further(rng: Random, drawn: Item) -> Item:
    """Go on asking about the same content: each further answer teaches at a third of the tokens."""
    for question in drawn.more:
        if rng.random() < FURTHER_SHARE and split(drawn.kind, question.subject) == "train":
            told = {"role": "assistant", "content": drawn.answer}
            messages = (*drawn.messages, told, {"role": "user", "content": question.text})
            drawn = replace(drawn, messages=messages, answer=question.answer)
    return drawn
