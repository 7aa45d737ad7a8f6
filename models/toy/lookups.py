"""Lookup exercises, which are trained but not graded.

A question about one of several facts requires associating names with things. From single questions
networks of this size learn it after more than a hundred thousand items; from answers that look up
one name after the other, in sentences of increasing length, after about fifty thousand.
"""

from __future__ import annotations

from random import Random

from tasks import Item, single_turn
from words import COLOURS, COLOURS_ZH, NAMES, NAMES_ZH, THINGS, THINGS_ZH, WORDS

# With each form the thing is further behind the name.
FORMS = (
    "{name} {thing}",
    "{name} is {thing}",
    "{name} has a {thing}",
    "{name} has a {colour} {thing}.",
)


def recite(rng: Random) -> Item:
    """Repeat the facts about 2 to 5 people in another order.

    Every sentence is a lookup, which makes this the densest exercise.
    """
    chinese, count = rng.random() < 0.4, rng.randint(2, 5)
    if chinese:
        names, things = rng.sample(NAMES_ZH, count), rng.sample(THINGS_ZH, count)
        stated = {
            n: f"{n}有{rng.choice(COLOURS_ZH)}{t}" for n, t in zip(names, things, strict=True)
        }
    else:
        names, things = rng.sample(NAMES, count), rng.sample(THINGS, count)
        stated = {
            n: f"{n} has a {rng.choice(COLOURS)} {t}." for n, t in zip(names, things, strict=True)
        }
    gap = "，" if chinese else " "
    order = rng.sample(names, rng.randint(2, count))
    question = f"。{'，'.join(order)}有什么？" if chinese else f" What do {', '.join(order)} have?"
    prompt = gap.join(stated.values()) + question
    return single_turn("recite", prompt, prompt, gap.join(stated[name] for name in order))


def pairs(rng: Random) -> Item:
    """Repeat the pairs of 2 to 6 names or words in another order."""
    form = rng.choice(FORMS)
    sentences = form.endswith(".")
    count = rng.randint(2, 4 if sentences else 6)
    names = rng.sample(NAMES if "has" in form else NAMES + WORDS, count)
    stated = {
        name: form.format(name=name, thing=thing, colour=rng.choice(COLOURS))
        for name, thing in zip(names, rng.sample(THINGS, count), strict=True)
    }
    gap, end = (" ", "") if sentences else (", ", ".")
    order = rng.sample(names, count)
    prompt = f"{gap.join(stated.values())}{end} Say {', '.join(order)}"
    return single_turn("pairs", prompt, prompt, gap.join(stated[name] for name in order))
