"""The comparison of two runs, as Markdown."""

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.comparison.compare import TIMES, Change, Comparison
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.markdown import escape, table

HEADS = ("model", "stage", "metric", "first", "second", "change (95 % CI)")


def render(before: Results, after: Results, compared: Comparison) -> str:
    """Return the comparison, with a verdict per change."""
    warnings = (*compared.invalid, *compared.warnings, *compared.missing)
    lines = [
        "# Comparison of two runs",
        "",
        f"First: {escape(before.scenario)}, {before.started_at}, `{before.schedule_hash[:16]}`.",
        f"Second: {escape(after.scenario)}, {after.started_at}, `{after.schedule_hash[:16]}`.",
        "",
        *(f"> warning: {escape(warning)}" for warning in warnings),
        "",
        *table((*HEADS, ""), [[*row(c), verdict(c)] for c in compared.changes]),
        "",
        "Ratios are second / first. † paired by request.",
    ]
    return "\n".join(lines) + "\n"


def nothing_compared(compared: Comparison) -> str:
    """Return in one line that two runs have nothing in common, and how to pair their models."""
    reasons = [w for w in compared.warnings if "--pair" in w] or compared.warnings
    return "; ".join(("nothing was compared", *reasons))


def row(change: Change) -> list[str]:
    """Return the cells of a change under HEADS."""
    return [
        change.model,
        change.stage or "",
        change.metric,
        _value(change, change.before),
        _value(change, change.after),
        with_interval(change),
    ]


def with_interval(change: Change) -> str:
    text = amount(change, change.change.value) + (" †" if change.paired else "")
    low, high = change.change.low, change.change.high
    if low is None or high is None:
        return f"{text} (no interval)"
    return f"{text} ({amount(change, low)} to {amount(change, high)})"


def amount(change: Change, value: float) -> str:
    """Format a ratio, or a difference in percentage points."""
    if change.kind == "ratio":
        return f"{value:.3f} ×"
    return f"{value * 100:+.1f} points".replace("-", "−")


def verdict(change: Change) -> str:
    """Return better or worse where the interval excludes no change."""
    low, high = change.change.low, change.change.high
    if low is None or high is None:
        return "unknown"
    neutral = 1.0 if change.kind == "ratio" else 0.0
    if low <= neutral <= high:
        return "no significant difference"
    return "better" if (low > neutral) == change.larger_is_better else "worse"


def _value(change: Change, value: float) -> str:
    if change.kind == "difference":
        return formatting.percent(value)
    return formatting.seconds(value) if change.metric in TIMES else formatting.number(value)
