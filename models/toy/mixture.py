"""All kinds of tasks, and the mixture of training conversations drawn from them."""

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

# Weight of each kind before the trainer adjusts it by accuracy. Long answers have less.
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
# Weights of the stages that train what a small network learns late or never in the full mixture
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
SYSTEM_SHARE = 0.1  # of conversations, since clients send system prompts
FURTHER_SHARE = 0.6  # of an item's further questions
CHAT_SHARE = 0.1  # of conversations have an unrelated earlier turn


def item(kind: str, rng: Random, part: Part | None = None) -> Item:
    """Draw one item of a kind from the given part of the split (None: both).

    Ungraded kinds are not split.
    """
    while True:
        drawn = KINDS[kind](rng)
        if part is None or kind in UNGRADED or split(kind, drawn.subject) == part:
            return drawn


def training_item(rng: Random, weights: Mapping[str, float]) -> Item:
    """Draw a training item, sometimes preceded by a system prompt or an unrelated turn."""
    kind = rng.choices(list(weights), weights=list(weights.values()))[0]
    drawn = item(kind, rng, "train")
    before: list[Message] = []
    if rng.random() < SYSTEM_SHARE:
        before.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    if rng.random() < CHAT_SHARE:
        earlier = item(rng.choice(SINGLE_TURN), rng, "train")
        before += [*earlier.messages, {"role": "assistant", "content": earlier.answer}]
    extended = _with_further_questions(rng, drawn)
    return replace(extended, messages=(*before, *extended.messages))


def _with_further_questions(rng: Random, drawn: Item) -> Item:
    """Append questions about the same content: their answers cost a third of the tokens."""
    for question in drawn.more:
        if rng.random() < FURTHER_SHARE and split(drawn.kind, question.subject) == "train":
            answered = {"role": "assistant", "content": drawn.answer}
            messages = (*drawn.messages, answered, {"role": "user", "content": question.text})
            drawn = replace(drawn, messages=messages, answer=question.answer)
    return drawn
