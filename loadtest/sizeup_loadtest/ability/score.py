"""Grades -> accuracy of a model, and paired comparison of two models. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, islice

from sizeup_loadtest.ability.grade import Grade, grade
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.analysis.stages.blocks import by_block, mean
from sizeup_loadtest.data.ability import AbilityKind, AbilityResult, WrongAnswer
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import Paired

MAX_WRONG = 20
"""Wrong answers of one model in a report."""
MAX_TEXT = 500
"""Characters of their texts."""

_NS = 1e-9


def grades(items: Sequence[Item], records: Iterable[Record]) -> dict[str, Grade]:
    """Grade the outputs of one model, by key of the item; a failed request has no grade."""
    by_key = {item.key: item for item in items}
    return {
        record.planned.prompt: grade(by_key[record.planned.prompt], record.text)
        for record in records
        if record.outcome is Outcome.OK
    }


def result(
    items: Sequence[Item], records: Sequence[Record], given: Mapping[str, Grade]
) -> AbilityResult | None:
    """Summarise one model; None when every request failed."""
    if not given:
        return None
    answered = [record for record in records if record.outcome is Outcome.OK]
    blocks = by_block(answered)
    return AbilityResult(
        overall=intervals.wilson(sum(g.correct for g in given.values()), len(given)),
        kinds=_kinds(items, given),
        unparsed=sum(not g.parsed for g in given.values()),
        truncated=_truncated(answered),
        errors=len(records) - len(answered),
        seconds_per_answer=mean(blocks, latency.e2e),
        tokens_per_answer=mean(blocks, lambda r: r.completion_tokens),
        correct_per_second=intervals.ratio_of_sums(_correct_by_time(records, given)),
        wrong=_wrong(items, answered, given),
    )


def _wrong(
    items: Sequence[Item], answered: Iterable[Record], given: Mapping[str, Grade]
) -> tuple[WrongAnswer, ...]:
    texts = {record.planned.prompt: record.text for record in answered}
    failed = (item for item in items if item.key in given and not given[item.key].correct)
    return tuple(
        WrongAnswer(
            question=_cut(item.messages[-1].content),
            expected=_cut(item.expected),
            answer=_cut(texts[item.key]),
            kind=item.kind,
            parsed=given[item.key].parsed,
        )
        for item in islice(failed, MAX_WRONG)
    )


def _cut(text: str) -> str:
    """Keep both ends: a long question has its question, a long answer its result, at the end."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _truncated(answered: Iterable[Record]) -> int | None:
    """Count outputs that ended at max_tokens; None without any finish reason."""
    endings = [r.finish_reason for r in answered if r.finish_reason is not None]
    return endings.count("length") if endings else None


def _correct_by_time(
    records: Iterable[Record], given: Mapping[str, Grade]
) -> Sequence[tuple[float, float]]:
    """Return correct answers and duration in seconds, by block."""
    return [
        (
            sum(r.planned.prompt in given and given[r.planned.prompt].correct for r in group),
            (max(r.ended_ns for r in group) - min(r.sent_ns for r in group)) * _NS,
        )
        for group in by_block(records)
    ]


def paired(a: str, b: str, of_a: Mapping[str, Grade], of_b: Mapping[str, Grade]) -> Paired:
    """Compare two models on the items that both answered."""
    both = of_a.keys() & of_b.keys()
    only_a = sum(of_a[key].correct and not of_b[key].correct for key in both)
    only_b = sum(of_b[key].correct and not of_a[key].correct for key in both)
    return Paired(
        a=a,
        b=b,
        stage=None,
        only_a_correct=only_a,
        only_b_correct=only_b,
        mcnemar_p=intervals.mcnemar(only_a, only_b),
    )


def pairs(given: Mapping[str, Mapping[str, Grade]]) -> tuple[Paired, ...]:
    """Compare every two models that have grades."""
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
            score=intervals.wilson(sum(g.correct for g in cell), len(cell)),
            unparsed=sum(not g.parsed for g in cell),
        )
        for (kind, level), cell in sorted(cells.items())
    )
