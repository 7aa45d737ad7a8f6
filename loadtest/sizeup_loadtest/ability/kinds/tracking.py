"""State tracking; the level sets the number of moves."""

from random import Random

from sizeup_loadtest.ability.item import Question
from sizeup_loadtest.ability.kinds.vocabulary import THINGS

_BOXES = "ABCDE"
_END = "End with a line of the form 'Answer: <thing>'."


def boxes(random: Random, moves: int) -> Question:
    """Track five things in five boxes whose contents are swapped."""
    things = random.sample(THINGS, len(_BOXES))
    if "box" in things:  # a box in a box would be ambiguous
        things[things.index("box")] = "coin"
    inside = dict(zip(_BOXES, things, strict=True))
    sentences = [f"Box {box} holds the {thing}." for box, thing in inside.items()]
    for _ in range(moves):
        a, b = random.sample(_BOXES, 2)
        inside[a], inside[b] = inside[b], inside[a]
        sentences.append(f"Swap what is in box {a} and box {b}.")
    box, story = random.choice(_BOXES), " ".join(sentences)
    text = f"{story} What is in box {box} now? {_END}"
    return Question(story + box, text, inside[box], "choice", tuple(things))
