"""A run as Markdown: the verdict, a table of sizes, and whether to trust it."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    Estimate,
    ModelResult,
    Proportion,
    RequirementCheck,
    Results,
)

_HEADS = (
    "size", "bar", "ability (95 %)", "tokens/s, one user (95 %)", "first token p50", "carries",
    "$ per M tokens", "memory", "load",
)  # fmt: skip


def render(results: Results) -> str:
    """Return the report; a blank cell was not measured."""
    lines = ["# Which size do you need?", "", *_banner(results)]
    if results.verdict is not None:
        lines += [f"**{escape(results.verdict.sentence)}**", ""]
    lines += [*_table(results), "", *_caveats(results), *_origin(results)]
    return "\n".join(lines) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines; cells are escaped."""
    written = [[escape(cell) for cell in row] for row in rows]
    ruler = ["---", *("---:" for _ in heads[1:])]
    return [f"| {' | '.join(row)} |" for row in (list(heads), ruler, *written)]


def escape(text: str) -> str:
    """Keep text from being read as Markdown or HTML."""
    for character in "\\`*_[]<>|#&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _banner(results: Results) -> list[str]:
    if results.validity.valid:
        broken = [f"> - {escape(f'{m.name}: {m.broken}')}" for m in results.models if m.broken]
        return (
            ["> **Broken sizes; the others' figures stand.**", ">", *broken, ""] if broken else []
        )
    reasons = [f"> - {escape(reason)}" for reason in results.validity.reasons]
    return ["> **This run is invalid: do not use its figures.**", ">", *reasons, ""]


def _table(results: Results) -> list[str]:
    checks = {c.model: c for c in results.verdict.checks} if results.verdict else {}
    asked = results.verdict is not None and any(
        value is not None for value in results.verdict.requirements.model_dump().values()
    )
    rows = [_row(m, checks.get(m.name) if asked else None) for m in results.models]
    return table(_HEADS, rows)


def _row(model: ModelResult, check: RequirementCheck | None) -> list[str]:
    stage = lightest_stage(model)
    capacity, cost, model_info = model.capacity, model.cost, model.model_info
    first = stage.ttft.p50 if stage and stage.ttft else None
    start = model.load_seconds
    return [
        model.name,
        _passes(check),
        share(model.ability.overall if model.ability else None),
        estimate(stage.tok_s_user if stage else None),
        formatting.NONE if first is None else formatting.seconds(first),
        formatting.carries(capacity) or formatting.NONE,
        formatting.per_million(cost) or formatting.NONE,
        formatting.NONE if model_info.memory_bytes is None else formatting.size_of(model_info.memory_bytes),
        formatting.NONE if start is None else formatting.seconds(start),
    ]


def _passes(check: RequirementCheck | None) -> str:
    if check is None:
        return formatting.NONE
    if check.passes:
        return "✓"
    return f"{'✗' if check.passes is False else '?'} {'; '.join(check.misses)}"


def share(seen: Proportion | None) -> str:
    """Write a share with its interval."""
    return formatting.NONE if seen is None else formatting.share(seen)


def estimate(seen: Estimate | None) -> str:
    """Write an estimate with its interval."""
    if seen is None:
        return formatting.NONE
    if seen.low is None:
        return formatting.number(seen.value)
    return f"{formatting.number(seen.value)} ({formatting.interval(seen)})"


def _caveats(results: Results) -> list[str]:
    found = [f"- warning: {escape(warning)}" for warning in results.validity.warnings]
    return [*found, ""] if found else []


def _origin(results: Results) -> list[str]:
    return [
        f"{formatting.NONE} is not measured; a median of the first token takes"
        f" {intervals.smallest_n(0.5)} requests. Speed: {formatting.lightest(results.models)}; load and"
        " cost:"
        " within the objective.",
        "",
        f"{escape(results.scenario)} against {escape(results.target)}, {results.started_at},"
        f" {formatting.seconds(results.seconds)}, schedule `{results.schedule_hash[:16]}`,"
        f" sizeup-bench {escape(results.tool_version)}.",
    ]
