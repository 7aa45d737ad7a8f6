"""Every kind of question with its levels, and items from a seed. Pure.

Levels are 1 to 6; what grows with the level depends on the kind (digits, steps, words). They are
designed to give the smallest models (0.5B) about a third of correct answers over all levels, and
the largest (72B) less than 95 %; this has not been measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from sizeup_loadtest.ability import (
    arithmetic,
    facts,
    haystack,
    json_object,
    lists,
    problems,
    rules,
    tracking,
)
from sizeup_loadtest.ability.held_out import BUCKETS, held_out
from sizeup_loadtest.ability.item import Item, MakeQuestion, Question
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload.prompt import ChatMessage

LEVELS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Kind:
    make: MakeQuestion
    sizes: tuple[int, int, int, int, int, int]
    """Argument of `make`, by level."""
    family: str | None = None
    """Of training tasks of the toy models with the same wording; see `held_out`."""


KINDS: Mapping[str, Kind] = {
    "addition": Kind(arithmetic.addition, (1, 2, 3, 4, 5, 6), "add"),
    "addition-zh": Kind(arithmetic.addition_zh, (1, 2, 3, 4, 5, 6), "add"),
    "subtraction": Kind(arithmetic.subtraction, (1, 2, 3, 4, 5, 6)),
    "multiplication": Kind(arithmetic.multiplication, (1, 2, 3, 4, 5, 6)),
    "word-problem": Kind(problems.word_problem, (1, 2, 4, 6, 9, 12)),
    "word-problem-zh": Kind(problems.word_problem_zh, (1, 2, 4, 6, 9, 12)),
    "tracking": Kind(tracking.boxes, (1, 3, 6, 10, 16, 24)),
    "reversing": Kind(lists.reversing, (3, 4, 6, 8, 16, 32), "reverse"),
    "copying": Kind(lists.copying, (3, 5, 7, 10, 30, 60), "copy"),
    "copying-zh": Kind(lists.copying_zh, (3, 4, 6, 7, 30, 60), "copy"),
    "counting": Kind(lists.counting, (3, 4, 5, 6, 20, 40), "count"),
    "sequence": Kind(lists.sequence, (5, 8, 16, 30, 60, 90), "sequence"),
    "sorting": Kind(lists.sorting, (3, 5, 8, 12, 20, 30)),
    "position": Kind(lists.position, (4, 6, 10, 16, 24, 40)),
    "spelling": Kind(lists.spelling, (3, 5, 8, 12, 16, 24)),
    "facts": Kind(facts.facts, (1, 2, 3, 4, 8, 12), "fact"),
    "facts-zh": Kind(facts.facts_zh, (1, 2, 3, 4, 5, 7), "fact"),
    "instructions": Kind(rules.instructions, (1, 2, 3, 4, 5, 6)),
    "json": Kind(json_object.facts_as_json, (1, 2, 3, 4, 6, 8)),
    "needle": Kind(haystack.needle, (50, 150, 400, 1000, 2000, 4000)),
    "needle-zh": Kind(haystack.needle_zh, (80, 200, 600, 1500, 3000, 6000)),
}


def items(kind: str, level: int, seed: int, n: int) -> tuple[Item, ...]:
    """Return the first `n` items of a level, or fewer where it has fewer distinct subjects.

    Items do not depend on `n`.
    """
    random, found = Random(f"{seed}/{kind}/{level}"), dict[str, Question]()
    maker, size = KINDS[kind], KINDS[kind].sizes[level - 1]
    for _ in range(50 * BUCKETS * n):  # enough to find all subjects of a level that has only n
        if len(found) == n:
            break
        question = maker.make(random, size)
        if maker.family is None or held_out(maker.family, question.subject):
            found.setdefault(question.subject, question)
    return tuple(_item(kind, level, i, question) for i, question in enumerate(found.values()))


def _item(kind: str, level: int, index: int, question: Question) -> Item:
    return Item(
        kind=kind,
        level=level,
        key=f"ability-{kind}-{level}-{index}",
        messages=(ChatMessage("user", question.text),),
        expected=question.expected,
        check=question.check,
        options=question.options,
    )


def ladder(
    kinds: Sequence[str] | None, levels: Sequence[int] | None, seed: int, n: int
) -> tuple[Item, ...]:
    """Return about `n` items, at least one for every kind and level (None: all).

    ConfigError for an unknown kind or level.
    """
    cells = [(kind, level) for kind in _known_kinds(kinds) for level in _known_levels(levels)]
    each, more = divmod(max(n, len(cells)), len(cells))
    return tuple(
        item
        for place, (kind, level) in enumerate(_spread(cells))
        for item in items(kind, level, seed, each + (place < more))
    )


def _spread(cells: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Order by level, so that the remainder is spread over kinds."""
    return iter(sorted(cells, key=lambda cell: cell[1]))


def _known_kinds(kinds: Sequence[str] | None) -> Sequence[str]:
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        known = ", ".join(KINDS)
        raise ConfigError(f"ability.kinds: unknown kind {', '.join(unknown)}; known: {known}")
    return list(dict.fromkeys(kinds)) if kinds else list(KINDS)


def _known_levels(levels: Sequence[int] | None) -> Sequence[int]:
    unknown = sorted(set(levels or ()) - set(LEVELS))
    if unknown:
        raise ConfigError(f"ability.levels: {unknown[0]} is not one of 1 to {LEVELS[-1]}")
    return sorted(set(levels)) if levels else LEVELS
