import pytest

import tasks
from sizeup_loadtest.ability.items import ALL_KINDS, LEVELS, held_out, items
from sizeup_loadtest.ability.kinds import vocabulary
from words import NAMES, WORDS

TOY_KINDS = {
    "addition": "add-2",
    "addition-zh": "add-zh",
    "counting": "count-words",
    "copying": "copy",
    "copying-zh": "copy-zh",
    "reversing": "reverse",
    "facts": "fact",
    "facts-zh": "fact-zh",
    "sequence": "sequence",
}


def test_the_rule_matches_the_training_of_the_toys() -> None:
    subjects = [f"{a}+{b}" for a in range(60) for b in range(60)]
    for kind in TOY_KINDS.values():
        ours = {s for s in subjects if held_out(kind.partition("-")[0], s)}
        theirs = {s for s in subjects if tasks.split(kind, s) == "grade"}
        assert ours == theirs


def test_the_vocabulary_matches_the_toys() -> None:
    assert vocabulary.WORDS == WORDS
    assert vocabulary.NAMES == NAMES


def _subject(kind: str, text: str) -> str:
    """Read a subject back from a question's own words, as the toys' generators write it."""
    match kind:
        case "addition":
            a, b = text.removeprefix("What is ").removesuffix("?").split(" + ")
            return "+".join(map(str, sorted((int(a), int(b)))))
        case "addition-zh":
            a, b = text.removesuffix(" 等于多少？").split(" 加 ")
            return "+".join(map(str, sorted((int(a), int(b)))))
        case "counting":
            listed, _, word = (
                text.removeprefix("In the list ")
                .removesuffix("?")
                .partition(". How many times is ")
            )
            return f"{word}:{listed}"
        case "facts":
            return text
        case "facts-zh":
            return text.replace("。", "")
        case "sequence":
            first, last = text.removeprefix("Count from ").removesuffix(".").split(" to ")
            return f"{first}-{last}"
        case "copying-zh":
            return text.partition("：")[2]
    return text.partition(": ")[2]


def test_every_kind_of_the_toys_exists() -> None:
    assert {kind for kind, how in ALL_KINDS.items() if how.family} == set(TOY_KINDS)


@pytest.mark.parametrize("kind", TOY_KINDS)
def test_items_are_held_out_from_training(kind: str) -> None:
    made = [item for level in LEVELS for item in items(kind, level, seed=7, n=20)]
    assert len(made) > 60
    for item in made:
        subject = _subject(kind, item.messages[0].content)
        assert tasks.split(TOY_KINDS[kind], subject) == "grade", item
