"""The report as Markdown: the verdict, a table of models, and validity."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import ModelResult, RequirementCheck, Results
from sizeup_loadtest.formatting import NONE
from sizeup_loadtest.report import text
from sizeup_loadtest.report.views import cells, validity
from sizeup_loadtest.report.views.blocks import Cell

_HEADS = (
    "model", "requirements", "ability (95 % CI)", "tokens/s per user (95 % CI)", "TTFT p50",
    "TTFT p95", "max load", "$ per M tokens", "errors", "memory", "load time",
)  # fmt: skip


def render(results: Results) -> str:
    """Return the report; a dash was not measured."""
    checks = text.checks(results.verdict)
    lines = ["# Which model size do you need?", ""]
    for title, reasons in validity.banners(results):
        lines += [f"> **{title}**", ">", *(f"> - {escape(reason)}" for reason in reasons), ""]
    if results.verdict is not None:
        lines += [f"**{escape(results.verdict.sentence)}**", ""]
    lines += [*table(_HEADS, [_row(m, checks.get(m.name)) for m in results.models]), ""]
    if results.validity.warnings:
        lines += [*(f"- warning: {escape(one)}" for one in results.validity.warnings), ""]
    return "\n".join([*lines, *_origin(results)]) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells are escaped."""
    body = [[escape(cell) for cell in row] for row in rows]
    ruler = ["---", *("---:" for _ in heads[1:])]
    return [f"| {' | '.join(row)} |" for row in (list(heads), ruler, *body)]


def escape(value: str) -> str:
    """Escape Markdown and HTML."""
    for character in "\\`*_[]<>|#&":
        value = value.replace(character, f"\\{character}")
    return " ".join(value.split())


def _row(model: ModelResult, check: RequirementCheck | None) -> list[str]:
    stage, ability = lightest_stage(model), model.ability.overall if model.ability else None
    first = stage.ttft if stage else None
    failed, misses = text.failures(model.stages), "; ".join(check.misses if check else ())
    plain = (
        cells.percentile(50, first),
        cells.percentile(95, first),
        cells.max_load(model.capacity),
        cells.cost_per_million(model.cost),
    )
    return [
        model.name,
        f"{text.mark(check)} {misses}".rstrip(),
        _flat(cells.proportion(ability)),
        _flat(cells.estimate(stage.tok_s_user if stage else None, formatting.number)),
        *(cell.text or NONE for cell in plain),
        f"{failed}: {text.frequent_errors(model.stages)}" if failed else "0",
        cells.memory(model.model_info).text or NONE,
        cells.load_time(model).text or NONE,
    ]


def _flat(cell: Cell) -> str:
    """Return a cell with its note, or its interval, in one line."""
    if cell.text is None:
        return NONE
    return cell.text if cell.note is None else f"{cell.text} ({cell.note})"


def _origin(results: Results) -> list[str]:
    return [
        f"{NONE}: not measured; TTFT p50 needs {intervals.smallest_n(0.5)} requests. Latency:"
        f" {text.lightest_load(results.models)}; max load and cost: within the SLO.",
        "",
        f"{escape(results.scenario)} against {escape(results.target)}, {results.started_at},"
        f" {formatting.seconds(results.seconds)}, schedule `{results.schedule_hash[:16]}`,"
        f" sizeup-bench {escape(results.tool_version)}.",
    ]
