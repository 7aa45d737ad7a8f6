"""Pairwise comparison of models on the same prompts. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Estimate, ModelResult, Paired, Results
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.charts.rows import BarRow, RowChart
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Figure,
    Grid,
    Section,
    Table,
    TableRow,
    blank,
)

_NO_RATIO = "no prompt was completed by both models in the same block"
_NO_ABILITY = "ability was not measured for both models"
_RATIOS: tuple[tuple[str, str, Callable[[Paired], Estimate | None]], ...] = (
    ("pair-tpot", "TPOT ratio", lambda p: p.tpot_ratio),
    ("pair-ttft", "TTFT ratio", lambda p: p.ttft_ratio),
    ("pair-e2e", "E2E latency ratio", lambda p: p.e2e_ratio),
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


def adjacent(results: Results, found: Sequence[Match]) -> list[Match]:
    """Return the pairs of adjacent sizes: together they span all."""
    pairs = set(pairwise(model.name for model in results.models))
    return [match for match in found if (match.a, match.b) in pairs]


def section(results: Results) -> Section | None:
    found = matches(results)
    timed = [m for m in adjacent(results, found) if m.latency]
    if not found:
        return None
    drawn = (_chart(timed, *ratio) for ratio in _RATIOS)
    charts = Grid(tuple(Figure(one) for one in drawn if one is not None))
    return Section(
        "pairs",
        "Pairwise comparison",
        "Pairs",
        "Both models got the same prompts in the same blocks, so effects of a prompt or of the"
        " time cancel. Right of 1 model b is slower; an interval that contains 1 shows"
        " no significant difference.",
        (charts, _table(found)),
    )


def _chart(
    pairs: Sequence[Match], key: str, title: str, ratio: Callable[[Paired], Estimate | None]
) -> Markup | None:
    found = [_row(match, ratio(match.latency) if match.latency else None) for match in pairs]
    chart = RowChart(key, title, formatting.times, formatting.tick, reference=1.0, log=True)
    return rows.draw(found, chart)


def _row(match: Match, ratio: Estimate | None) -> BarRow:
    name = f"{_tag(match.b)} / {_tag(match.a)}"
    if ratio is None:
        return BarRow(name, "plain", None)
    return BarRow(name, "plain", ratio.value, ratio.low, ratio.high)


def _tag(name: str) -> str:
    """Return the tag of a model name, which distinguishes the sizes of a family."""
    return name.rpartition(":")[2] or name


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
    ratios = (ratio(pair) if pair else None for _, _, ratio in _RATIOS)
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
