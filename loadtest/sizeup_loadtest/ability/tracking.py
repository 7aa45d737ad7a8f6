"""Where things are after they were moved, by the number of moves."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.vocabulary import THINGS

_BOXES = "ABCDE"
_END = "End with a line of the form 'Answer: <thing>'."


def boxes(draw: Random, moves: int) -> Question:
    """Follow five things in five boxes whose contents are swapped."""
    things = draw.sample(THINGS, len(_BOXES))
    if "box" in things:  # a box in a box would be ambiguous
        things[things.index("box")] = "coin"
    inside = dict(zip(_BOXES, things, strict=True))
    said = [f"Box {box} holds the {thing}." for box, thing in inside.items()]
    for _ in range(moves):
        a, b = draw.sample(_BOXES, 2)
        inside[a], inside[b] = inside[b], inside[a]
        said.append(f"Swap what is in box {a} and box {b}.")
    asked, story = draw.choice(_BOXES), " ".join(said)
    text = f"{story} What is in box {asked} now? {_END}"
    return Question(story + asked, text, inside[asked], "choice", tuple(things))
