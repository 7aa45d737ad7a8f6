"""Pairwise comparison of models on the same prompts. Pure."""

from collections.abc import Iterator

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Paired, Results
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Cell, Section, Table, TableRow, blank

_NO_RATIO = "no prompt was completed by both models in the same block"
_NO_ABILITY = "ability was not measured for both models"
_HEADS = (
    "Pair|b / a", "TPOT|ratio", "TTFT|ratio", "E2E latency|ratio",
    "Correct|a only", "Correct|b only", "McNemar|exact p", "More accurate",
)  # fmt: skip


def section(results: Results) -> Section | None:
    found = tuple(_rows(results))
    if not found:
        return None
    return Section(
        "pairs",
        "Pairwise comparison",
        "Both models got the same prompts in the same blocks, so effects of a prompt or of the"
        " time cancel. Above 1 model b is slower; an interval that contains 1 shows"
        " no significant difference.",
        (Table(_HEADS, found, "Every pair, under the lightest load"),),
        short="Pairs",
    )


def _rows(results: Results) -> Iterator[TableRow]:
    """Yield every compared pair of models, adjacent sizes first."""
    models = results.models
    for apart in range(1, len(models)):
        for a, b in zip(models, models[apart:], strict=False):
            stage = lightest_stage(a)
            both = [p for p in results.paired if (p.a, p.b) == (a.name, b.name)]
            latency = next((p for p in both if stage and p.stage == stage.stage), None)
            ability = next((p for p in both if p.mcnemar_p is not None), None)
            if latency or ability:
                yield TableRow(f"{b.name} / {a.name}", (*_latency(latency), *_ability(ability)))


def _latency(pair: Paired | None) -> tuple[Cell, ...]:
    ratios = (pair.tpot_ratio, pair.ttft_ratio, pair.e2e_ratio) if pair else (None, None, None)
    return tuple(cells.estimate(ratio, formatting.times, _NO_RATIO) for ratio in ratios)


def _ability(pair: Paired | None) -> tuple[Cell, ...]:
    """Return the answers that one model alone has correct; the more accurate one where p < 0.05."""
    if pair is None or pair.mcnemar_p is None:
        return (blank(_NO_ABILITY),) * 4
    p, only_a, only_b = pair.mcnemar_p, pair.only_a_correct or 0, pair.only_b_correct or 0
    more = (pair.b if only_b > only_a else pair.a) if p < 0.05 else "not significant"
    written = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return Cell(str(only_a)), Cell(str(only_b)), Cell(written), Cell(more)
