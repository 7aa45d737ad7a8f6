"""The results of a run on a terminal, within 80 columns."""

import re

from rich import box
from rich.console import Console
from rich.table import Table

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import ModelResult, Results
from sizeup_loadtest.formatting import NONE
from sizeup_loadtest.report import text
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Cell

_HEADS = (
    "", "ability", "tok/s\nper user", "TTFT\np50", "TTFT\np95", "max load", "$ per\nM tokens"
)  # fmt: skip


def show(results: Results, console: Console) -> None:
    """Print a row per model, errors, the verdict, and whether the results are valid."""
    validity = results.validity
    if not validity.complete:
        console.print(text.stopped(validity), style="bold red", soft_wrap=True)
    console.print(table(results))
    for model in results.models:
        if failed := text.failures(model.stages):
            causes = text.frequent_errors(model.stages)
            console.print(f"{model.name}: {failed} failed requests: {causes}", soft_wrap=True)
    stages = {model.name: lightest_stage(model) for model in results.models}
    few = ", ".join(n for n, s in stages.items() if s and s.ttft and s.ttft.p50 is None)
    if few:
        instead = f"p50, which needs {intervals.smallest_n(0.5)} requests"
        console.print(f"the mean of TTFT in place of {instead}: {few}", soft_wrap=True)
    if results.verdict is not None:
        console.print(results.verdict.sentence, soft_wrap=True)
    for warning in validity.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    for reason in validity.reasons:
        console.print(f"INVALID: {reason}", style="bold red", soft_wrap=True)


def table(results: Results) -> Table:
    """Return latency under the lightest load, capacity, ability and cost by model.

    Names of models wrap; figures never do.
    """
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    result.title = f"{results.scenario}, {text.lightest_load(results.models)}"
    result.title_justify = "left"
    result.add_column("model", overflow="fold", min_width=12)
    for heading in _HEADS:
        result.add_column(heading, justify="right", no_wrap=True)
    checks = text.checks(results.verdict)
    for model in results.models:
        result.add_row(model.name, text.mark(checks.get(model.name)), *_cells(model))
    return result


def _cells(model: ModelResult) -> tuple[str, ...]:
    stage, ability = lightest_stage(model), model.ability
    first = stage.ttft if stage else None
    return (
        NONE if ability is None else f"{ability.overall.value:.0%}",
        _stacked(cells.estimate(stage.tok_s_user if stage else None, formatting.number)),
        cells.median(first).text or NONE,
        cells.percentile(95, first).text or NONE,
        re.sub(" (?=users?$|requests/s$)", "\n", cells.max_load(model.capacity).text or NONE),
        cells.cost_per_million(model.cost).text or NONE,
    )


def _stacked(cell: Cell) -> str:
    """Return a cell with its interval below it."""
    ends = (cell.note or "").replace(" to ", "–")
    return "\n".join(part for part in (cell.text or NONE, ends) if part)
