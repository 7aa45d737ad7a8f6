"""Lookup among stated facts; the level sets their number."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import (
    COLOURS,
    COLOURS_ZH,
    NAMES,
    NAMES_ZH,
    THINGS,
    THINGS_ZH,
)


def facts(random: Random, count: int) -> Question:
    """Ask for the thing of a person, the owner of a thing, or its colour."""
    names, things = random.sample(NAMES, count), random.sample(THINGS, count)
    colours = random.choices(COLOURS, k=count)
    stated = list(zip(names, colours, things, strict=True))
    name, colour, thing = random.choice(stated)
    question, expected, options = random.choice(
        (
            (f"What does {name} have?", f"{colour} {thing}", [f"{c} {t}" for _, c, t in stated]),
            (f"Who has the {thing}?", name, names),
            (f"What colour is the {thing}?", colour, colours),
        )
    )
    text = " ".join(f"{n} has a {c} {t}." for n, c, t in stated) + " " + question
    return Question(text, text, expected, "choice", tuple(options))


def facts_zh(random: Random, count: int) -> Question:
    """Ask in Chinese for the thing of a person, or the owner of a thing."""
    names, things = random.sample(NAMES_ZH, count), random.sample(THINGS_ZH, count)
    colours = random.choices(COLOURS_ZH, k=count)
    stated = list(zip(names, colours, things, strict=True))
    name, colour, thing = random.choice(stated)
    question, expected, options = random.choice(
        (
            (f"{name}有什么？", f"{colour}{thing}", [f"{c}{t}" for _, c, t in stated]),
            (f"谁有{thing}？", name, names),
        )
    )
    story = "，".join(f"{n}有{c}{t}" for n, c, t in stated)
    return Question(story + question, f"{story}。{question}", expected, "choice", tuple(options))
