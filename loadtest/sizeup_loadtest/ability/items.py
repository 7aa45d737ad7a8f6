"""Every kind of question with its levels, and items from a seed. Pure.

Levels are 1 to 6; what grows with the level depends on the kind (digits, steps, words). They are
meant to span models of 0.5B to 72B, which has not been measured.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from random import Random

from sizeup_loadtest.ability.item import Item, MakeQuestion, Question
from sizeup_loadtest.ability.kinds import generated, rules, toy_tasks
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload.prompt import ChatMessage

LEVELS = (1, 2, 3, 4, 5, 6)
BUCKETS = 10

_TRIES_IN_VAIN = 5_000
"""After these a level has no further subject: the rarest is one of a hundred sums, of which one in
ten is held out."""


@dataclass(frozen=True, slots=True)
class Kind:
    make: MakeQuestion
    sizes: tuple[int, int, int, int, int, int]
    """Argument of `make`, by level."""
    family: str | None = None
    """Of training tasks of the toy models with the same wording; see `held_out`."""


KINDS: Mapping[str, Kind] = {
    "multiplication": Kind(generated.multiplication, (1, 2, 3, 4, 5, 6)),
    "word-problem": Kind(generated.word_problem, (1, 2, 4, 6, 9, 12)),
    "word-problem-zh": Kind(generated.word_problem_zh, (1, 2, 4, 6, 9, 12)),
    "tracking": Kind(generated.boxes, (1, 3, 6, 10, 16, 24)),
    "sorting": Kind(generated.sorting, (3, 5, 8, 12, 20, 30)),
    "instructions": Kind(rules.instructions, (1, 2, 3, 4, 5, 6)),
    "json": Kind(generated.facts_as_json, (1, 2, 3, 4, 6, 8)),
    # At most about 2,700 tokens: servers with a context of 4,096 are common.
    "needle": Kind(generated.needle, (50, 100, 250, 500, 1000, 2000)),
}
"""The kinds that are asked by default."""

TOY_KINDS: Mapping[str, Kind] = {
    "addition": Kind(toy_tasks.addition, (1, 2, 3, 4, 5, 6), "add"),
    "addition-zh": Kind(toy_tasks.addition_zh, (1, 2, 3, 4, 5, 6), "add"),
    "reversing": Kind(toy_tasks.reversing, (3, 4, 6, 8, 16, 32), "reverse"),
    "copying": Kind(toy_tasks.copying, (3, 5, 7, 10, 30, 60), "copy"),
    "copying-zh": Kind(toy_tasks.copying_zh, (3, 4, 6, 7, 30, 60), "copy"),
    "counting": Kind(toy_tasks.counting, (3, 4, 5, 6, 20, 40), "count"),
    "sequence": Kind(toy_tasks.sequence, (5, 8, 16, 30, 60, 90), "sequence"),
    "facts": Kind(toy_tasks.facts, (1, 2, 3, 4, 8, 12), "fact"),
    "facts-zh": Kind(toy_tasks.facts_zh, (1, 2, 3, 4, 5, 7), "fact"),
}
"""The tasks on which the toy models are trained."""

ALL_KINDS: Mapping[str, Kind] = {**KINDS, **TOY_KINDS}


def held_out(family: str, subject: str) -> bool:
    """Whether a subject (two numbers, a list, some facts) is held out from training the toys.

    They are trained on generated items of the same wording, but not on those whose hash falls into
    one bucket of ten. For other models the rule makes no difference.
    """
    digest = hashlib.blake2b(f"{family}:{subject}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS == 0


def items(kind: str, level: int, seed: int, n: int) -> tuple[Item, ...]:
    """Return the first `n` items of a level, or fewer where it has fewer distinct subjects.

    Items do not depend on `n`.
    """
    random, found = Random(f"{seed}/{kind}/{level}"), dict[str, Question]()
    maker = ALL_KINDS[kind]
    size = maker.sizes[level - 1]
    in_vain = 0
    while len(found) < n and in_vain < _TRIES_IN_VAIN:
        question = maker.make(random, size)
        known = len(found)
        if maker.family is None or held_out(maker.family, question.subject):
            found.setdefault(question.subject, question)
        in_vain = in_vain + 1 if len(found) == known else 0
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
    """Return exactly `n` items, one of every kind and level in turn (None: all).

    The order of a turn is random, so that the first items are a fair sample of all. ConfigError for
    an unknown kind or level, and when there are fewer than `n` distinct items.
    """
    cells = [(kind, level) for kind in _known_kinds(kinds) for level in _known_levels(levels)]
    Random(seed).shuffle(cells)
    each, made = -(-n // len(cells)), list[Item]()
    # Levels with few distinct items leave more for the others; those are the same in any number.
    while len(made) < n:
        known, made = len(made), list(islice(_in_turn(cells, seed, each), n))
        if len(made) == known:
            raise ConfigError(
                f"ability.items: {n} questions, and these kinds and levels have {known}"
            )
        each *= 2
    return tuple(made)


def _in_turn(cells: Sequence[tuple[str, int]], seed: int, each: int) -> Iterator[Item]:
    columns = [items(kind, level, seed, each) for kind, level in cells]
    for row in zip_longest(*columns):
        yield from (item for item in row if item is not None)


def _known_kinds(kinds: Sequence[str] | None) -> Sequence[str]:
    unknown = sorted(set(kinds or ()) - set(ALL_KINDS))
    if unknown:
        known = ", ".join(ALL_KINDS)
        raise ConfigError(f"ability.kinds: unknown kind {', '.join(unknown)}; known: {known}")
    return list(dict.fromkeys(kinds)) if kinds else list(KINDS)


def _known_levels(levels: Sequence[int] | None) -> Sequence[int]:
    unknown = sorted(set(levels or ()) - set(LEVELS))
    if unknown:
        raise ConfigError(f"ability.levels: {unknown[0]} is not one of 1 to {LEVELS[-1]}")
    return sorted(set(levels)) if levels else LEVELS
