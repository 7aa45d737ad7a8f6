"""Generate practice in looking things up, which is trained but not graded.

A question about one of several facts needs what belongs to the name it asks for. Networks so small
guess among the facts for a hundred thousand questions; from answers that look up one name after the
other, in sentences from the shortest on, they learn it in some fifty thousand.
"""

from __future__ import annotations

from random import Random

from tasks import Item, ask
from words import COLOURS, COLOURS_ZH, NAMES, NAMES_ZH, THINGS, THINGS_ZH, WORDS

# With each form what is looked up stands further behind the name
FORMS = (
    "{name} {thing}",
    "{name} is {thing}",
    "{name} has a {thing}",
    "{name} has a {colour} {thing}.",
)


def recite(rng: Random) -> Item:
    """Say of 2 to 5 people in a new order what each has.

    Every sentence looks a name up again, which no shorter answer practises as densely.
    """
    chinese, count = rng.random() < 0.4, rng.randint(2, 5)
    if chinese:
        names, things = rng.sample(NAMES_ZH, count), rng.sample(THINGS_ZH, count)
        told = {n: f"{n}有{rng.choice(COLOURS_ZH)}{t}" for n, t in zip(names, things, strict=True)}
    else:
        names, things = rng.sample(NAMES, count), rng.sample(THINGS, count)
        told = {
            n: f"{n} has a {rng.choice(COLOURS)} {t}." for n, t in zip(names, things, strict=True)
        }
    gap = "，" if chinese else " "
    order = rng.sample(names, rng.randint(2, count))
    question = f"。{'，'.join(order)}有什么？" if chinese else f" What do {', '.join(order)} have?"
    prompt = gap.join(told.values()) + question
    return ask("recite", prompt, prompt, gap.join(told[name] for name in order))


def pairs(rng: Random) -> Item:
    """Say in a new order what belongs to each of 2 to 6 names or words."""
    form = rng.choice(FORMS)
    sentences = form.endswith(".")
    count = rng.randint(2, 4 if sentences else 6)
    names = rng.sample(NAMES if "has" in form else NAMES + WORDS, count)
    told = {
        name: form.format(name=name, thing=thing, colour=rng.choice(COLOURS))
        for name, thing in zip(names, rng.sample(THINGS, count), strict=True)
    }
    gap, end = (" ", "") if sentences else (", ", ".")
    order = rng.sample(names, count)
    prompt = f"{gap.join(told.values())}{end} Say {', '.join(order)}"
    return ask("pairs", prompt, prompt, gap.join(told[name] for name in order))
