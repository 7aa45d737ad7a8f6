"""Pairwise comparison of models on the same prompts. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Estimate, ModelResult, Paired, Results
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Cell, Section, Table, TableRow, blank

_NO_RATIO = "no prompt was completed by both models in the same block"
_NO_ABILITY = "ability was not measured for both models"
_RATIOS: tuple[Callable[[Paired], Estimate | None], ...] = (
    lambda p: p.tpot_ratio,
    lambda p: p.ttft_ratio,
    lambda p: p.e2e_ratio,
)


@dataclass(frozen=True, slots=True)
class Match:
    """Two models: latency under the lightest load, and graded answers."""

    a: str
    b: str
    latency: Paired | None
    ability: Paired | None


def matches(results: Results) -> list[Match]:
    """Return every compared pair of models, adjacent sizes first."""
    names = [model.name for model in results.models]
    stages = {model.name: _stage(model) for model in results.models}
    found = []
    for apart in range(1, len(names)):
        for a, b in zip(names, names[apart:], strict=False):
            both = [p for p in results.paired if (p.a, p.b) == (a, b)]
            latency = next((p for p in both if p.stage is not None and p.stage == stages[a]), None)
            ability = next((p for p in both if p.mcnemar_p is not None), None)
            if latency or ability:
                found.append(Match(a, b, latency, ability))
    return found


def _stage(model: ModelResult) -> str | None:
    stage = lightest_stage(model)
    return stage.stage if stage else None


def section(results: Results) -> Section | None:
    found = matches(results)
    if not found:
        return None
    return Section(
        "pairs",
        "Pairwise comparison",
        "Pairs",
        "Both models got the same prompts in the same blocks, so effects of a prompt or of the"
        " time cancel. Above 1 model b is slower; an interval that contains 1 shows"
        " no significant difference.",
        (_table(found),),
    )


def _table(found: Sequence[Match]) -> Table:
    heads = (
        "Pair|b / a", "TPOT|ratio", "TTFT|ratio", "E2E latency|ratio",
        "Correct|a only", "Correct|b only", "McNemar|exact p", "More accurate",
    )  # fmt: skip
    caption = "Every pair, under the lightest load"
    return Table(heads, tuple(_numbers(match) for match in found), caption)


def _numbers(match: Match) -> TableRow:
    ability = match.ability
    counts = (ability.only_a_correct, ability.only_b_correct) if ability else (None, None)
    return TableRow(
        f"{match.b} / {match.a}",
        (
            *_ratio_cells(match.latency),
            *(blank(_NO_ABILITY) if c is None else Cell(str(c)) for c in counts),
            cells.plain(ability.mcnemar_p if ability else None, p_value, _NO_ABILITY),
            _more_accurate(ability),
        ),
    )


def _ratio_cells(pair: Paired | None) -> tuple[Cell, ...]:
    ratios = (ratio(pair) if pair else None for ratio in _RATIOS)
    return tuple(cells.estimate(ratio, formatting.times, _NO_RATIO) for ratio in ratios)


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _more_accurate(pair: Paired | None) -> Cell:
    """Return the more accurate model, where p < 0.05."""
    if pair is None or pair.mcnemar_p is None:
        return blank(_NO_ABILITY)
    if pair.mcnemar_p >= 0.05:
        return Cell("not significant")
    larger = (pair.only_b_correct or 0) > (pair.only_a_correct or 0)
    return Cell(pair.b if larger else pair.a)
