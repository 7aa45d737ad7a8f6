"""Write the data of the shipped lm-eval tasks: `python -m` this module, and a folder."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.items import ladder

SEED = 7
ITEMS = 100  # a share from 100 items has a 95 % interval of at most 20 points
WRONG = 3  # beside the right one: a guess is right in a quarter


@dataclass(frozen=True, slots=True)
class Task:
    """What a task is made of."""

    kind: str
    levels: tuple[int, ...]
    chosen: bool = False
    """Whether an answer is chosen among some, and not written."""


TASKS: Mapping[str, Task] = {
    "sizeup_addition": Task("addition", (2, 3, 4)),
    "sizeup_word_problem": Task("word-problem", (1, 2, 3, 4)),
    "sizeup_addition_choice": Task("addition", (2, 3, 4), chosen=True),
}


def lines(name: str) -> str:
    """Return the JSON lines of a task."""
    task, draw = TASKS[name], Random(SEED)
    items = list(ladder([task.kind], task.levels, SEED, ITEMS))
    draw.shuffle(items)  # lm-eval's --limit takes the first ones: they should be a mixture
    rows = (_choice(item, draw) if task.chosen else _written(item) for item in items)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _written(item: Item) -> Mapping[str, object]:
    return {"question": item.messages[-1].content, "answer": item.expected}


def _choice(item: Item, draw: Random) -> Mapping[str, object]:
    """Put the right number among others that differ from it in one digit."""
    others: set[str] = set()
    while len(others) < WRONG:
        place = draw.randrange(len(item.expected))
        digit = draw.choice("123456789")  # never 0: no number begins with it
        others.add(item.expected[:place] + digit + item.expected[place + 1 :])
        others.discard(item.expected)
    choices = sorted([item.expected, *others])
    draw.shuffle(choices)
    return {
        "question": item.messages[-1].content,
        "choices": choices,
        "gold": choices.index(item.expected),
    }


def main(arguments: Sequence[str]) -> None:
    """Write a file per task into a folder."""
    for task in TASKS:
        (Path(arguments[0]) / f"{task}.jsonl").write_text(lines(task), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
