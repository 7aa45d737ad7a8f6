"""What changed between two runs, as Markdown."""

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.compare import Change, Comparison
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.markdown import escape, table

HEADS = ("size", "stage", "figure", "first", "second", "change (95 %)")
_TIMES = ("ttft", "tpot", "e2e")


def render(before: Results, after: Results, compared: Comparison) -> str:
    """Return the comparison; a change whose interval leaves out no change is marked."""
    lines = [
        "# Two runs compared",
        "",
        f"First: {escape(before.scenario)}, {before.started_at}, `{before.schedule_hash[:16]}`.",
        f"Second: {escape(after.scenario)}, {after.started_at}, `{after.schedule_hash[:16]}`.",
        "",
        *(f"> warning: {escape(told)}" for told in (*compared.warnings, *compared.lost)),
        "",
        *table((*HEADS, ""), [[*row(c), verdict(c)] for c in compared.changes]),
        "",
        "Ratios are second / first. † compared request by request.",
    ]
    return "\n".join(lines) + "\n"


def row(change: Change) -> list[str]:
    """Return a change's cells under HEADS."""
    return [
        change.model,
        change.stage or "",
        change.figure,
        _value(change, change.before),
        _value(change, change.after),
        written(change),
    ]


def written(change: Change) -> str:
    """Write a change with its interval."""
    told = amount(change, change.change.value) + (" †" if change.paired else "")
    low, high = change.change.low, change.change.high
    if low is None or high is None:
        return f"{told} (no interval)"
    return f"{told} ({amount(change, low)} to {amount(change, high)})"


def amount(change: Change, value: float) -> str:
    """Write a ratio, or a difference in points."""
    if change.kind == "ratio":
        return f"{value:.3f} ×"
    return f"{value * 100:+.1f} points".replace("-", "−")


def verdict(change: Change) -> str:
    """Say better or worse where the interval leaves out no change."""
    low, high = change.change.low, change.change.high
    if low is None or high is None:
        return "not known"
    neutral = 1.0 if change.kind == "ratio" else 0.0
    if low <= neutral <= high:
        return "no difference seen"
    return "better" if (low > neutral) == change.larger_is_better else "worse"


def _value(change: Change, value: float) -> str:
    if change.kind == "difference":
        return formatting.percent(value)
    return formatting.seconds(value) if change.figure in _TIMES else formatting.number(value)
