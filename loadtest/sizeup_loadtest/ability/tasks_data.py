"""Generates the data of the bundled lm-eval tasks: `python -m` this module with a folder."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.items import ladder

SEED = 7
ITEMS = 100  # for a 95 % interval of at most 20 points
WRONG = 3  # wrong choices: chance is 25 %


@dataclass(frozen=True, slots=True)
class Task:
    """The items of a task."""

    kind: str
    levels: tuple[int, ...]
    chosen: bool = False
    """Whether the answer is multiple choice."""


TASKS: Mapping[str, Task] = {
    "sizeup_addition": Task("addition", (2, 3, 4)),
    "sizeup_word_problem": Task("word-problem", (1, 2, 3, 4)),
    "sizeup_addition_choice": Task("addition", (2, 3, 4), chosen=True),
}


def lines(name: str) -> str:
    task, random = TASKS[name], Random(SEED)
    items = list(ladder([task.kind], task.levels, SEED, ITEMS))
    random.shuffle(items)  # lm-eval's --limit takes the first ones
    rows = (_choice(item, random) if task.chosen else _free_form(item) for item in items)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _free_form(item: Item) -> Mapping[str, object]:
    return {"question": item.messages[-1].content, "answer": item.expected}


def _choice(item: Item, random: Random) -> Mapping[str, object]:
    """Add wrong choices that differ in one digit."""
    others: set[str] = set()
    while len(others) < WRONG:
        place = random.randrange(len(item.expected))
        digit = random.choice("123456789")  # no number begins with 0
        others.add(item.expected[:place] + digit + item.expected[place + 1 :])
        others.discard(item.expected)
    choices = sorted([item.expected, *others])
    random.shuffle(choices)
    return {
        "question": item.messages[-1].content,
        "choices": choices,
        "gold": choices.index(item.expected),
    }


def main(arguments: Sequence[str]) -> None:
    """Write one file per task into a folder."""
    for task in TASKS:
        (Path(arguments[0]) / f"{task}.jsonl").write_text(lines(task), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
