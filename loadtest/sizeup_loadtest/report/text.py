"""Results as short texts, which the page, Markdown and the terminal share. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    ModelResult,
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


def stopped(validity: Validity) -> str:
    """Return how much of an interrupted run was done."""
    share = validity.share_done
    after = "before its end" if share is None else f"after {formatting.percent(share)}"
    return f"This run was stopped {after}: its results are those of the part that was done."
