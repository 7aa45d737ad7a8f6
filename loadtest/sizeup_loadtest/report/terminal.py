"""What a run found, in a terminal."""

from rich.console import Console
from rich.table import Table

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Results


def show(results: Results, console: Console) -> None:
    """Print a row per size, the verdict, and whether the figures can be trusted."""
    console.print(table(results))
    if few := [model.name for model in results.models if _too_few(model)]:
        least = intervals.smallest_n(0.5)
        console.print(f"TTFT p50 takes {least} requests: {', '.join(few)}", soft_wrap=True)
    if results.verdict is not None:
        console.print(results.verdict.sentence, soft_wrap=True)
    for warning in results.validity.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    for reason in results.validity.reasons:
        console.print(f"NOT VALID: {reason}", style="bold red", soft_wrap=True)


def table(results: Results) -> Table:
    """Draw each size under its lightest load, the largest load it carries, and what it buys."""
    title = f"{results.scenario}, {formatting.lightest(results.models)}"
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("size", no_wrap=True)
    for heading in ("TTFT p50", "tokens/s/user", "carries", "errors", "ability", "per M tokens"):
        drawn.add_column(heading, justify="right")
    for model in results.models:
        drawn.add_row(model.name, *_cells(model))
    return drawn


def _cells(model: ModelResult) -> tuple[str, ...]:
    stage, ability = lightest_stage(model), model.ability
    return (
        _milliseconds(stage.ttft if stage else None),
        _estimate(stage.tok_s_user if stage else None),
        formatting.carries(model.capacity) or formatting.NONE,
        str(sum(sum(s.errors.values()) for s in model.stages)),
        formatting.NONE if ability is None else f"{ability.overall.value:.0%}",
        formatting.per_million(model.cost) or formatting.NONE,
    )


def _too_few(model: ModelResult) -> bool:
    stage = lightest_stage(model)
    return stage is not None and stage.ttft is not None and stage.ttft.p50 is None


def _milliseconds(times: Distribution | None) -> str:
    return formatting.NONE if times is None or times.p50 is None else f"{times.p50 * 1000:.1f} ms"


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return formatting.NONE
    if value.low is None or value.high is None:
        return f"{value.value:.1f}"
    return f"{value.value:.1f} ({value.low:.1f}–{value.high:.1f})"
