"""Size against size on the same prompts: ratios and disagreements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Estimate, ModelResult, Paired, Results
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, cells, figure, grid
from sizeup_loadtest.report.tables import Cell, Row, blank, table

_NO_RATIO = "no prompt was answered by both in the same block"
_UNASKED = "ability was not measured on both"


@dataclass(frozen=True, slots=True)
class Match:
    """Two sizes: their speeds under the least load, and their answers."""

    a: str
    b: str
    timed: Paired | None
    asked: Paired | None


def matches(results: Results) -> list[Match]:
    """Return every pair of sizes that was compared, neighbours in size first."""
    names = [model.name for model in results.models]
    stages = {model.name: _stage(model) for model in results.models}
    found = []
    for apart in range(1, len(names)):
        for a, b in zip(names, names[apart:], strict=False):
            both = [p for p in results.paired if (p.a, p.b) == (a, b)]
            timed = next((p for p in both if p.stage is not None and p.stage == stages[a]), None)
            asked = next((p for p in both if p.mcnemar_p is not None), None)
            if timed or asked:
                found.append(Match(a, b, timed, asked))
    return found


def _stage(model: ModelResult) -> str | None:
    stage = lightest_stage(model)
    return stage.stage if stage else None


def neighbours(results: Results, found: Sequence[Match]) -> list[Match]:
    """Return the pairs next to each other in size: together they span all."""
    names = [model.name for model in results.models]
    beside = set(pairwise(names))
    return [match for match in found if (match.a, match.b) in beside]


def section(results: Results) -> ConfigSection:
    """Return paired ratios of speed and paired answers."""
    found = matches(results)
    timed = [m for m in neighbours(results, found) if m.timed]
    charts = grid(
        _ratios(timed, "pair-tpot", "Time per output token, ratio", lambda p: p.tpot_ratio),
        _ratios(timed, "pair-ttft", "Time to first token, ratio", lambda p: p.ttft_ratio),
        _ratios(timed, "pair-e2e", "Whole answer, ratio", lambda p: p.e2e_ratio),
    )
    return ConfigSection(
        "pairs",
        "Size against size, prompt by prompt",
        "Pairs",
        "Both sizes answered the same prompts in the same blocks, so what a prompt or a moment adds"
        " cancels. Right of 1 the larger size takes longer; an interval that holds 1 shows no"
        " difference.",
        join((charts if timed else figure(None, _NO_RATIO), _table(found), _all(results))),
    )


def _ratios(
    pairs: Sequence[Match], key: str, title: str, ratio: Callable[[Paired], Estimate | None]
) -> Markup:
    found = [_row(match, ratio(match.timed) if match.timed else None) for match in pairs]
    look = rows.Look(key, title, formatting.times, formatting.tick, reference=1.0, log=True)
    return figure(rows.draw(found, look) if found else None, _NO_RATIO)


def _row(match: Match, ratio: Estimate | None) -> rows.Row:
    name = f"{_short(match.b)} / {_short(match.a)}"
    if ratio is None:
        return rows.Row(name, "plain", None)
    return rows.Row(name, "plain", ratio.value, ratio.low, ratio.high)


def _short(name: str) -> str:
    """Return what tells sizes of one family apart: what follows the colon."""
    return name.rpartition(":")[2] or name


def _table(found: Sequence[Match]) -> Markup | None:
    if not found:
        return None
    heads = (
        "Larger / smaller", "Per token|ratio", "First token|ratio", "Whole answer|ratio",
        "Smaller alone|right", "Larger alone|right", "McNemar|exact p", "Abler",
    )  # fmt: skip
    return table(heads, [_numbers(match) for match in found], "Every pair, under the least load")


def _numbers(match: Match) -> Row:
    asked = match.asked
    counts = (asked.only_a_correct, asked.only_b_correct) if asked else (None, None)
    return Row(
        f"{match.b} / {match.a}",
        (
            *_timings(match.timed),
            *(blank(_UNASKED) if c is None else Cell(str(c)) for c in counts),
            cells.of_value(asked.mcnemar_p if asked else None, probability, _UNASKED),
            _abler(asked),
        ),
        detail=match.timed.stage if match.timed else None,
    )


def _timings(timed: Paired | None) -> tuple[Cell, ...]:
    ratios = (timed.tpot_ratio, timed.ttft_ratio, timed.e2e_ratio) if timed else (None,) * 3
    return tuple(cells.of_estimate(ratio, formatting.times, _NO_RATIO) for ratio in ratios)


def probability(p: float) -> str:
    """Write a p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _abler(asked: Paired | None) -> Cell:
    """Say who is abler where the test tells them apart at 5 %."""
    if asked is None or asked.mcnemar_p is None:
        return blank(_UNASKED)
    if asked.mcnemar_p >= 0.05:
        return Cell("not told apart")
    larger = (asked.only_b_correct or 0) > (asked.only_a_correct or 0)
    return Cell(asked.b if larger else asked.a)


def _all(results: Results) -> Markup | None:
    """Return the ratios under every load."""
    timed = [p for p in results.paired if p.tpot_ratio or p.ttft_ratio or p.e2e_ratio]
    if len({p.stage for p in timed}) < 2:
        return None
    heads = ("Larger / smaller|stage", "Per token|ratio", "First token|ratio", "Whole answer|ratio")
    found = [Row(f"{p.b} / {p.a}", _timings(p), detail=p.stage) for p in timed]
    numbers = table(heads, found, "Every pair under every load")
    return tag("details", tag("summary", "Every pair under every load"), numbers)
