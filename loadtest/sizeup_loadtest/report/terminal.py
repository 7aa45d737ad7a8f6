"""The results of a run on a terminal."""

from rich.console import Console
from rich.table import Table

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Results
from sizeup_loadtest.formatting import NONE
from sizeup_loadtest.report import text


def show(results: Results, console: Console) -> None:
    """Print a row per model, the verdict, and whether the results are valid."""
    console.print(table(results))
    if few := [model.name for model in results.models if _has_too_few(model)]:
        least = intervals.smallest_n(0.5)
        console.print(f"TTFT p50 needs {least} requests: {', '.join(few)}", soft_wrap=True)
    if results.verdict is not None:
        console.print(results.verdict.sentence, soft_wrap=True)
    for warning in results.validity.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    for reason in results.validity.reasons:
        console.print(f"INVALID: {reason}", style="bold red", soft_wrap=True)


def table(results: Results) -> Table:
    """Return latency under the lightest load, capacity, ability and cost by model."""
    title = f"{results.scenario}, {text.lightest_load(results.models)}"
    result = Table(title=title, title_justify="left")
    result.add_column("model", no_wrap=True)
    for heading in ("TTFT p50", "tok/s/user", "max load", "errors", "ability", "$/M tokens"):
        result.add_column(heading, justify="right")
    for model in results.models:
        result.add_row(model.name, *_cells(model))
    return result


def _cells(model: ModelResult) -> tuple[str, ...]:
    stage, ability = lightest_stage(model), model.ability
    return (
        _milliseconds(stage.ttft if stage else None),
        _estimate(stage.tok_s_user if stage else None),
        text.max_load(model.capacity) or NONE,
        str(sum(sum(s.errors.values()) for s in model.stages)),
        NONE if ability is None else f"{ability.overall.value:.0%}",
        text.cost_per_million(model.cost) or NONE,
    )


def _has_too_few(model: ModelResult) -> bool:
    stage = lightest_stage(model)
    return stage is not None and stage.ttft is not None and stage.ttft.p50 is None


def _milliseconds(times: Distribution | None) -> str:
    return NONE if times is None or times.p50 is None else f"{times.p50 * 1000:.1f} ms"


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return NONE
    if value.low is None or value.high is None:
        return f"{value.value:.1f}"
    return f"{value.value:.1f} ({value.low:.1f}–{value.high:.1f})"
