"""Graded answers -> what a size can do, and which of two sizes can do more. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from sizeup_loadtest.ability.grade import Grade, grade
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import AbilityKind, AbilityResult, Paired

_NS = 1e-9


def grades(items: Sequence[Item], records: Iterable[Record]) -> dict[str, Grade]:
    """Grade every answer of one size, by the item's key; a request that failed has no grade."""
    asked = {item.key: item for item in items}
    return {
        record.planned.prompt: grade(asked[record.planned.prompt], record.text)
        for record in records
        if record.outcome is Outcome.OK
    }


def result(
    items: Sequence[Item], records: Sequence[Record], given: Mapping[str, Grade]
) -> AbilityResult | None:
    """Sum up one size; None when no request had an answer."""
    if not given:
        return None
    answered = [record for record in records if record.outcome is Outcome.OK]
    return AbilityResult(
        overall=intervals.wilson(sum(g.right for g in given.values()), len(given)),
        kinds=_kinds(items, given),
        unparsed=sum(not g.parsed for g in given.values()),
        cut=_cut(answered),
        errors=len(records) - len(answered),
        seconds_per_answer=intervals.mean_estimate(_seconds(answered)),
        tokens_per_answer=intervals.mean_estimate(_tokens(answered)),
        correct_per_second=intervals.ratio_of_sums(_right_by_time(records, given)),
    )


def _cut(answered: Iterable[Record]) -> int | None:
    """Count answers that ended at their limit; None where no ending was told."""
    endings = [r.finish_reason for r in answered if r.finish_reason is not None]
    return endings.count("length") if endings else None


def _right_by_time(
    records: Iterable[Record], given: Mapping[str, Grade]
) -> Mapping[int, tuple[float, float]]:
    """Return right answers and seconds by block: from the first request sent to the last ended."""
    by: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by[record.planned.block].append(record)
    return {
        block: (
            sum(r.planned.prompt in given and given[r.planned.prompt].right for r in group),
            (max(r.ended_ns for r in group) - min(r.sent_ns for r in group)) * _NS,
        )
        for block, group in by.items()
    }


def paired(a: str, b: str, of_a: Mapping[str, Grade], of_b: Mapping[str, Grade]) -> Paired:
    """Compare two sizes on the items both have answered."""
    both = of_a.keys() & of_b.keys()
    only_a = sum(of_a[key].right and not of_b[key].right for key in both)
    only_b = sum(of_b[key].right and not of_a[key].right for key in both)
    return Paired(
        a=a,
        b=b,
        stage=None,
        only_a_correct=only_a,
        only_b_correct=only_b,
        mcnemar_p=intervals.mcnemar(only_a, only_b),
    )


def pairs(given: Mapping[str, Mapping[str, Grade]]) -> tuple[Paired, ...]:
    """Compare every two sizes that have answered anything."""
    answered = [name for name, grades in given.items() if grades]
    return tuple(paired(a, b, given[a], given[b]) for a, b in combinations(answered, 2))


def _kinds(items: Sequence[Item], given: Mapping[str, Grade]) -> tuple[AbilityKind, ...]:
    cells: dict[tuple[str, int], list[Grade]] = defaultdict(list)
    for item in items:
        if item.key in given:
            cells[item.kind, item.level].append(given[item.key])
    return tuple(
        AbilityKind(
            kind=kind,
            level=level,
            score=intervals.wilson(sum(g.right for g in cell), len(cell)),
            unparsed=sum(not g.parsed for g in cell),
        )
        for (kind, level), cell in sorted(cells.items())
    )


def _seconds(records: Iterable[Record]) -> Mapping[int, Sequence[float]]:
    by: dict[int, list[float]] = defaultdict(list)
    for record in records:
        by[record.planned.block].append((record.ended_ns - record.sent_ns) * _NS)
    return by


def _tokens(records: Iterable[Record]) -> Mapping[int, Sequence[float]]:
    by: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if record.completion_tokens is not None:
            by[record.planned.block].append(float(record.completion_tokens))
    return by
