"""Results as short texts, which the page, Markdown and the terminal share. Pure."""

from collections.abc import Callable, Mapping, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    CapacityResult,
    Cost,
    Estimate,
    ModelResult,
    Proportion,
    RequirementCheck,
    StageResult,
    Verdict,
)

Format = Callable[[float], str]


def checks(verdict: Verdict | None) -> Mapping[str, RequirementCheck]:
    """Return the checks by model; empty without requirements."""
    if verdict is None or not verdict.requirements.model_dump(exclude_none=True):
        return {}
    return {check.model: check for check in verdict.checks}


def lightest_load(models: Sequence[ModelResult], length: str | None = None) -> str:
    """Return the loads of the lightest stages: a single stream, unless none was measured."""
    stages = (lightest_stage(model, length) for model in models)
    loads = dict.fromkeys(_load(stage) for stage in stages if stage is not None)
    return " or ".join(loads) or "lightest load"


def _load(stage: StageResult) -> str:
    if stage.mode == "open":
        return f"{formatting.tick(stage.level)} requests/s"
    return "single stream" if stage.level == 1 else f"concurrency {formatting.tick(stage.level)}"


def max_load(capacity: CapacityResult | None) -> str | None:
    """Return the maximum load within the SLO; None where it was not searched."""
    if capacity is None:
        return None
    if capacity.max_load is None:
        return "none"
    at_least = capacity.bounded_by_limit or capacity.client_late or not capacity.finished
    return f"{'≥ ' if at_least else ''}{formatting.tick(capacity.max_load)}"


def cost_per_million(cost: Cost | None) -> str | None:
    """Return dollars per million tokens, with ≤ where a larger load may be cheaper."""
    if cost is None or cost.per_million_output_tokens is None:
        return None
    dollars = formatting.dollars(cost.per_million_output_tokens.value)
    return f"{'≤ ' if cost.upper_bound else ''}{dollars}"


def cost_load(cost: Cost) -> str | None:
    """Return the load at which a cost was measured."""
    if cost.at_level is None:
        return None
    outside = ", outside the SLO" if cost.within_slo is False else ""
    return f"at load {formatting.tick(cost.at_level)}{outside}"


def interval(estimate: Estimate, write: Format = formatting.number) -> str:
    """Return the interval of an estimate, or why there is none."""
    if estimate.low is None or estimate.high is None:
        return f"no interval: fewer than {intervals.MIN_BLOCKS} blocks"
    low, high = write(estimate.low), write(estimate.high)
    bare, _, unit = low.rpartition(" ")
    return f"{bare} to {high}" if bare and high.endswith(f" {unit}") else f"{low} to {high}"


def with_interval(proportion: Proportion) -> str:
    """Return a proportion with its interval, in percent."""
    low, high = proportion.low * 100, proportion.high * 100
    return f"{formatting.percent(proportion.value)} ({low:.0f} to {high:.0f})"


def min_requests(point: int) -> str:
    """Return why a percentile is blank."""
    least = intervals.smallest_n(point / 100)
    return f"p{point} needs {least} requests, for its own 95 % interval to exist"
