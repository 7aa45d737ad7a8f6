"""A gate against regressions: fails only where intervals exclude the change that is allowed.

One interval in forty does so by chance, and a gate judges a hundred and more. So a case fails where
its interval excludes the allowed change by so much, or together with so many others, that of forty
pairs of unchanged runs one fails at most (Benjamini and Hochberg): ten cases that are a bit worse
prove more than one. Where only its own interval excludes the change, it is worse, not proven, which
turns no gate red. A change that is too small to see is no proof of none: such a case is undecided
when there is no interval at all, and passes when the interval holds the allowed change. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import Element, SubElement, tostring

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.compare import Change, Comparison
from sizeup_loadtest.report import comparison
from sizeup_loadtest.report.markdown import escape, table

FALSE_ALARMS = 0.025
"""Share of unchanged pairs of runs that may fail: what one 95 % interval leaves on one side."""
_EXACT = 1e-9
"""Reach of an interval without any."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """How much worse each figure may become, as shares: 0.05 is 5 % or 5 points."""

    slowdown: float = 0.05
    """Of times: first token, per token, whole answer."""
    throughput_loss: float = 0.05
    ability_loss: float = 0.0
    attainment_loss: float = 0.02


class CaseOutcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "worse, not proven"
    """Its interval excludes what is allowed; of so many cases one or other does by chance."""
    UNDECIDED = "undecided"
    """There is no interval: fewer than 5 blocks."""


@dataclass(frozen=True, slots=True)
class Case:
    """One figure of one size against what is allowed."""

    change: Change
    outcome: CaseOutcome
    limit: float
    """The ratio or difference at which it begins to fail."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Every case, and what makes the whole fail regardless of them."""

    cases: tuple[Case, ...]
    faults: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Tell whether nothing failed and something was decided."""
        return not self.faults and not any(c.outcome is CaseOutcome.FAILED for c in self.cases)


def judge(compared: Comparison, allowed: Allowed, *, any_schedule: bool = False) -> Gate:
    """Judge every change; a run that is invalid, incomplete or of another plan proves nothing."""
    cases = _cases(compared.changes, allowed)
    faults = [*(w for w in compared.warnings if "invalid" in w), *compared.lost]
    if not compared.same_schedule and not any_schedule:
        faults.append("the runs' schedules differ (allow it with --any-schedule)")
    if not _decided(cases):
        faults.append("nothing could be decided: both runs need 5 blocks and a size in common")
    return Gate(cases, tuple(faults))


def _decided(cases: Sequence[Case]) -> bool:
    """Tell whether anything was decided, and some speed where speeds were measured.

    Shares have an interval from the first request on, so they alone would pass any slow run.
    """
    asked = [case for case in cases if case.change.kind == "ratio"] or cases
    return any(case.outcome is not CaseOutcome.UNDECIDED for case in asked)


def _cases(changes: Sequence[Change], allowed: Allowed) -> tuple[Case, ...]:
    """Judge the cases that have an interval together, since together they raise false alarms."""
    limits = {change: _limit(change, allowed) for change in changes}
    chances = {c: p for c in changes if (p := _chance(c, limits[c])) is not None}
    judged = list(chances)
    failed = {judged[i] for i in intervals.benjamini_hochberg([*chances.values()], FALSE_ALARMS)}

    def outcome(change: Change) -> CaseOutcome:
        if change not in chances:
            return CaseOutcome.UNDECIDED
        if change in failed:
            return CaseOutcome.FAILED
        return CaseOutcome.UNPROVEN if chances[change] <= FALSE_ALARMS else CaseOutcome.PASSED

    return tuple(Case(change, outcome(change), limits[change]) for change in changes)


def _chance(change: Change, limit: float) -> float | None:
    """Return how probable a change so far beyond its limit is by chance; None without an interval.

    The interval's own reach says how wide chance is; a ratio's is Student's of its blocks.
    """
    made = change.change
    end = made.high if change.larger_is_better else made.low
    if end is None:
        return None
    better = 1 if change.larger_is_better else -1
    if change.kind == "difference":
        beyond, reach = better * (limit - made.value), abs(end - made.value)
        return intervals.normal_tail(intervals.Z95 * beyond / max(reach, _EXACT))
    if limit <= 0:
        return 1.0
    beyond, reach = better * math.log(limit / made.value), abs(math.log(end / made.value))
    freedom = change.blocks - 1
    t = intervals.student_quantile(freedom) * beyond / max(reach, _EXACT)
    return intervals.student_tail(t, freedom)


def _limit(change: Change, allowed: Allowed) -> float:
    if change.kind == "difference":
        return -(allowed.ability_loss if change.figure == "ability" else allowed.attainment_loss)
    return 1 - allowed.throughput_loss if change.larger_is_better else 1 + allowed.slowdown


def junit(gate: Gate) -> str:
    """Return the gate as JUnit XML: a case per figure, faults as errors of their own."""
    counts = {outcome: _count(gate.cases, outcome) for outcome in CaseOutcome}
    suite = Element(
        "testsuite",
        name="sizeup-bench check",
        tests=str(len(gate.cases) + len(gate.faults)),
        failures=str(counts[CaseOutcome.FAILED]),
        errors=str(len(gate.faults)),
        skipped=str(counts[CaseOutcome.UNDECIDED]),
    )
    for fault in gate.faults:
        case = SubElement(suite, "testcase", classname="run", name="comparable")
        SubElement(case, "error", message=_legal(fault))
    for one in gate.cases:
        _add(suite, one)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: Element, one: Case) -> None:
    change = one.change
    name = f"{change.stage or 'ability'}: {change.figure}"
    case = SubElement(suite, "testcase", classname=_legal(change.model), name=_legal(name))
    told = f"{comparison.written(change)}, limit {comparison.amount(change, one.limit)}"
    if one.outcome is CaseOutcome.FAILED:
        SubElement(case, "failure", message=told)
    elif one.outcome is CaseOutcome.UNPROVEN:
        SubElement(case, "system-out").text = f"{one.outcome}: {told}"
    elif one.outcome is CaseOutcome.UNDECIDED:
        SubElement(case, "skipped", message=f"no interval: fewer than 5 blocks; {told}")


def _legal(text: str) -> str:
    """Leave out control characters, which XML 1.0 cannot hold, and lone surrogates."""
    known = text.encode("utf-8", "replace").decode()
    return "".join(c for c in known if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def _count(cases: Sequence[Case], outcome: CaseOutcome) -> int:
    return sum(case.outcome is outcome for case in cases)


def markdown(gate: Gate) -> str:
    """Return the gate as Markdown: failures first."""
    word = "passed" if gate.passes else "failed"
    counts = "; ".join(f"{_count(gate.cases, outcome)} {outcome}" for outcome in CaseOutcome)
    lines = [f"# Regression check {word}", "", f"{counts}."]
    lines += [f"- {escape(fault)}" for fault in gate.faults]
    order = (CaseOutcome.FAILED, CaseOutcome.UNPROVEN, CaseOutcome.UNDECIDED, CaseOutcome.PASSED)
    ordered = sorted(gate.cases, key=lambda case: order.index(case.outcome))
    rows = [
        [*comparison.row(c.change), comparison.amount(c.change, c.limit), c.outcome.value]
        for c in ordered
    ]
    heads = (*comparison.HEADS, "limit", "outcome")
    return "\n".join([*lines, "", *table(heads, rows)]) + "\n"
