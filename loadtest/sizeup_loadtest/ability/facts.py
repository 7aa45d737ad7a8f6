"""Look one thing up among stated facts, by how many there are."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import (
    COLOURS,
    COLOURS_ZH,
    NAMES,
    NAMES_ZH,
    THINGS,
    THINGS_ZH,
)


def facts(draw: Random, count: int) -> Question:
    """Say what somebody has, who has something, or which colour it is."""
    names, things = draw.sample(NAMES, count), draw.sample(THINGS, count)
    colours = draw.choices(COLOURS, k=count)
    told = list(zip(names, colours, things, strict=True))
    name, colour, thing = draw.choice(told)
    question, expected, options = draw.choice(
        (
            (f"What does {name} have?", f"{colour} {thing}", [f"{c} {t}" for _, c, t in told]),
            (f"Who has the {thing}?", name, names),
            (f"What colour is the {thing}?", colour, colours),
        )
    )
    text = " ".join(f"{n} has a {c} {t}." for n, c, t in told) + " " + question
    return Question(text, text, expected, "choice", tuple(options))


def facts_zh(draw: Random, count: int) -> Question:
    """Say in Chinese what somebody has, or who has something."""
    names, things = draw.sample(NAMES_ZH, count), draw.sample(THINGS_ZH, count)
    colours = draw.choices(COLOURS_ZH, k=count)
    told = list(zip(names, colours, things, strict=True))
    name, colour, thing = draw.choice(told)
    question, expected, options = draw.choice(
        (
            (f"{name}有什么？", f"{colour}{thing}", [f"{c}{t}" for _, c, t in told]),
            (f"谁有{thing}？", name, names),
        )
    )
    stated = "，".join(f"{n}有{c}{t}" for n, c, t in told)
    return Question(stated + question, f"{stated}。{question}", expected, "choice", tuple(options))
