"""Results as short texts, which the page, Markdown and the terminal share. Pure."""

from collections import Counter
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
    Validity,
    Verdict,
)

Format = Callable[[float], str]


def mark(check: RequirementCheck | None) -> str:
    """Return whether a model meets the requirements; a dash where none is set."""
    if check is None or (check.passes is None and not check.misses):
        return formatting.NONE
    return {True: "✓", False: "✗", None: "?"}[check.passes]


def checks(verdict: Verdict | None) -> Mapping[str, RequirementCheck]:
    """Return the checks by model."""
    return {check.model: check for check in verdict.checks} if verdict else {}


def lightest_load(models: Sequence[ModelResult]) -> str:
    """Return the loads of the lightest stages: a single user, unless none was measured."""
    stages = (lightest_stage(model) for model in models)
    loads = dict.fromkeys(formatting.load(s.mode, s.level) for s in stages if s is not None)
    return " or ".join(loads) or "lightest load"


def stage_name(stage: StageResult) -> str:
    """Return a stage in words, with its prompt length, which only its key has."""
    words = stage.stage.rpartition("-in")[2] if "-in" in stage.stage else None
    return formatting.stage(stage.mode, stage.level, stage.length, int(words) if words else None)


def failures(stages: Sequence[StageResult]) -> int:
    """Return the number of requests that failed."""
    return sum(sum(stage.errors.values()) for stage in stages)


def frequent_errors(stages: Sequence[StageResult]) -> str:
    """Return the most frequent causes of errors with their counts; outcomes without messages."""
    causes: Counter[str] = Counter()
    for stage in stages:
        causes.update(dict(stage.frequent_errors) or stage.errors)
    return "; ".join(f"{count} × {cause}" for cause, count in causes.most_common(3))


def max_load(capacity: CapacityResult | None) -> str | None:
    """Return the maximum load within the SLO: ≥ 64 users; None where it was not searched."""
    if capacity is None:
        return None
    if capacity.max_load is None:
        return "no load"
    at_least = capacity.bounded_by_limit or capacity.client_late or not capacity.finished
    return f"{'≥ ' if at_least else ''}{formatting.load(capacity.mode, capacity.max_load)}"


def max_load_note(capacity: CapacityResult) -> str | None:
    """Return why a maximum load is a lower bound."""
    if not capacity.finished:
        return "the search was not finished"
    if capacity.client_late:
        return "above it the client was late"
    return "the limit of the search" if capacity.bounded_by_limit else None


def cost_per_million(cost: Cost | None) -> str | None:
    """Return dollars per million tokens, with ≤ where a larger load may be cheaper."""
    if cost is None or cost.per_million_output_tokens is None:
        return None
    dollars = formatting.dollars(cost.per_million_output_tokens.value)
    return f"{'≤ ' if cost.upper_bound else ''}{dollars}"


def cost_load(cost: Cost) -> str | None:
    """Return the load at which a cost was measured."""
    if cost.at_level is None or cost.at_mode is None:
        return None
    outside = ", outside the SLO" if cost.within_slo is False else ""
    return f"at {formatting.load(cost.at_mode, cost.at_level)}{outside}"


def seconds(value: float | None) -> str:
    return formatting.NONE if value is None else formatting.seconds(value)


def interval(seen: Estimate | Proportion, write: Format) -> str | None:
    """Return the interval of a measurement; None where it has none."""
    if seen.low is None or seen.high is None:
        return None
    low, high = write(seen.low), write(seen.high)
    bare, _, unit = low.rpartition(" ")
    return f"{bare} to {high}" if bare and high.endswith(f" {unit}") else f"{low} to {high}"


def min_requests(point: int) -> str:
    """Return why a percentile is blank."""
    least = intervals.smallest_n(point / 100)
    return f"p{point} needs {least} requests, for its own 95 % interval to exist"


def stopped(validity: Validity) -> str:
    """Return how much of an interrupted run was done."""
    share = validity.share_done
    after = "before its end" if share is None else f"after {formatting.percent(share)}"
    return f"This run was stopped {after}: its results are those of the part that was done."
