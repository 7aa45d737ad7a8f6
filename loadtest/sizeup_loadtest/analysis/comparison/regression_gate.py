"""A regression gate that fails only where intervals exclude the allowed change. Pure.

A single interval excludes an unchanged value in one of forty cases, and a gate has a hundred cases
or more. All cases are therefore tested jointly (Benjamini-Hochberg), so that at most one of forty
pairs of unchanged runs fails; ten slightly worse cases are stronger evidence than one. A case whose
own interval excludes the allowed change, but not jointly, is worse but not significant and does not
fail the gate. A case passes when its interval contains the allowed change, which does not prove
that nothing changed; it is undecided without an interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.comparison.compare import Change, Comparison

FALSE_POSITIVE_RATE = 0.025
"""Of pairs of unchanged runs: one side of a 95 % interval."""
_EPSILON = 1e-9
"""Half width of a degenerate interval."""


@dataclass(frozen=True, slots=True)
class AllowedChange:
    """Allowed deterioration as fractions: 0.05 is 5 % or 5 percentage points."""

    slowdown: float = 0.05
    """Of TTFT, TPOT and E2E latency."""
    throughput_loss: float = 0.05
    ability_loss: float = 0.0
    attainment_loss: float = 0.02


class CaseOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_SIGNIFICANT = "worse, not significant"
    """Its own interval excludes the allowed change, which may be chance among so many cases."""
    UNDECIDED = "undecided"
    """No interval: fewer than 5 blocks."""


@dataclass(frozen=True, slots=True)
class Case:
    """One metric of one model against its limit."""

    change: Change
    outcome: CaseOutcome
    limit: float
    """The allowed ratio or difference."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Every case, and faults that fail the gate regardless of them."""

    cases: tuple[Case, ...]
    faults: tuple[str, ...]

    @property
    def passes(self) -> bool:
        return not self.faults and not self.count(CaseOutcome.FAILED)

    def count(self, outcome: CaseOutcome) -> int:
        return sum(case.outcome is outcome for case in self.cases)


def evaluate(comparison: Comparison, allowed: AllowedChange, *, any_schedule: bool = False) -> Gate:
    """Check every change; an invalid or incomplete run, or another schedule, is a fault."""
    cases = _cases(comparison.changes, allowed)
    faults = [*comparison.invalid, *comparison.missing]
    if not comparison.same_schedule and not any_schedule:
        faults.append("the schedules differ (allow it with --any-schedule)")
    if not _is_decided(cases):
        faults.append("no case is decided: both runs need 5 blocks and a common model")
    return Gate(cases, tuple(faults))


def _is_decided(cases: Sequence[Case]) -> bool:
    """Whether any case is decided, and any ratio where there are ratios.

    Proportions have an interval from the first request on; alone they would pass any slow run.
    """
    relevant = [case for case in cases if case.change.kind == "ratio"] or cases
    return any(case.outcome is not CaseOutcome.UNDECIDED for case in relevant)


def _cases(changes: Sequence[Change], allowed: AllowedChange) -> tuple[Case, ...]:
    """Test all cases with an interval together, to bound the false positives of the gate."""
    limits = {change: _limit(change, allowed) for change in changes}
    p_values = {c: p for c in changes if (p := _p_value(c, limits[c])) is not None}
    rejected = intervals.benjamini_hochberg([*p_values.values()], FALSE_POSITIVE_RATE)
    failed = {change for i, change in enumerate(p_values) if i in rejected}

    def outcome(change: Change) -> CaseOutcome:
        if change not in p_values:
            return CaseOutcome.UNDECIDED
        if change in failed:
            return CaseOutcome.FAILED
        if p_values[change] <= FALSE_POSITIVE_RATE:
            return CaseOutcome.NOT_SIGNIFICANT
        return CaseOutcome.PASSED

    return tuple(Case(change, outcome(change), limits[change]) for change in changes)


def _p_value(change: Change, limit: float) -> float | None:
    """Return the one-sided p of a change beyond its limit; None without an interval.

    The standard error follows from the interval: normal for a difference, Student's t for a ratio.
    """
    estimate = change.change
    end = estimate.high if change.larger_is_better else estimate.low
    if end is None:
        return None
    sign = 1 if change.larger_is_better else -1
    if change.kind == "difference":
        beyond, half_width = sign * (limit - estimate.value), abs(end - estimate.value)
        return intervals.normal_tail(intervals.Z95 * beyond / max(half_width, _EPSILON))
    if limit <= 0:
        return 1.0
    beyond = sign * math.log(limit / estimate.value)
    half_width = abs(math.log(end / estimate.value))
    freedom = change.blocks - 1
    t = intervals.student_quantile(freedom) * beyond / max(half_width, _EPSILON)
    return intervals.student_tail(t, freedom)


def _limit(change: Change, allowed: AllowedChange) -> float:
    if change.kind == "difference":
        return -(allowed.ability_loss if change.metric == "ability" else allowed.attainment_loss)
    return 1 - allowed.throughput_loss if change.larger_is_better else 1 + allowed.slowdown
