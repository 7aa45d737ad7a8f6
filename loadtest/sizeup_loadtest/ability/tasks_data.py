"""Write the data of the shipped lm-eval tasks: `python -m` this module, and a folder."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from sizeup_loadtest.ability.items import ladder

SEED = 7
ITEMS = 100  # a share from 100 items has a 95 % interval of at most 20 points
TASKS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "sizeup_addition": ("addition", (2, 3, 4)),
    "sizeup_word_problem": ("word-problem", (1, 2, 3, 4)),
}


def lines(task: str) -> str:
    """Return the JSON lines of a task."""
    kind, levels = TASKS[task]
    items = list(ladder([kind], levels, SEED, ITEMS))
    Random(SEED).shuffle(items)  # lm-eval's --limit takes the first ones: they should be a mixture
    rows = ({"question": i.messages[-1].content, "answer": i.expected} for i in items)
    return "".join(json.dumps(row) + "\n" for row in rows)


def main(arguments: Sequence[str]) -> None:
    """Write a file per task into a folder."""
    for task in TASKS:
        (Path(arguments[0]) / f"{task}.jsonl").write_text(lines(task), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
