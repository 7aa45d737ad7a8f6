"""Two runs against each other: ratios of times and rates, differences of shares. Pure.

Ratios are of the second run to the first. Where raw events of both runs of one schedule are at
hand, times are compared request by request (latency.paired); else an interval of a ratio comes
from both runs' own intervals, whose relative errors add in quadrature. Differences of shares have
Newcombe's interval (1998, method 10), which is made of both Wilson intervals.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sizeup_loadtest.analysis import intervals, latency, validity
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Proportion, Results
from sizeup_loadtest.data.results import StageResult as Stage

Kind = Literal["ratio", "difference"]

_TIMES = ("ttft", "tpot", "e2e")
_RATES = ("out_tok_s", "goodput")
_FIGURES = (*_TIMES, *_RATES, "attainment")


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one size in both runs."""

    model: str
    stage: str | None
    figure: str
    kind: Kind
    larger_is_better: bool
    before: float
    after: float
    change: Estimate
    """after / before, or after - before."""
    paired: bool = False
    """Request by request, so that what a prompt adds cancels."""
    blocks: int = intervals.MIN_BLOCKS
    """Of the run with fewer: how well the spread that its interval is made of is known."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything both runs measured, and what stands in the way of comparing it."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    same_schedule: bool
    lost: tuple[str, ...] = ()
    """What of the first run the second should have and has not, in words."""


Events = Sequence[Record]


def runs(
    before: Results,
    after: Results,
    events: tuple[Events, Events] | None = None,
) -> Comparison:
    """Compare two runs; `events` are their raw events, used when the schedules are the same."""
    same = before.schedule_hash == after.schedule_hash
    paired = _paired(before, events) if events and same else {}
    blocks = max(intervals.MIN_BLOCKS, min(_blocks(before), _blocks(after)))
    found = tuple(
        replace(change, blocks=blocks)
        for a, b in _both(before.models, after.models)
        for change in (*_stages(a, b, paired), *_ability(a, b))
    )
    warnings, lost = tuple(_warnings(before, after, same)), tuple(_lost(before, after))
    return Comparison(found, warnings, same, lost)


def _blocks(results: Results) -> int:
    """Return how many blocks a run's plan had; what a config does not say is taken with care."""
    load = results.config.get("load")
    blocks = load.get("blocks") if isinstance(load, Mapping) else None
    return blocks if isinstance(blocks, int) else intervals.MIN_BLOCKS


def _lost(before: Results, after: Results) -> Iterator[str]:
    """Name a run that was stopped, and every size, stage and figure that the second run lacks."""
    for word, results in (("first", before), ("second", after)):
        if validity.STOPPED in results.validity.warnings:
            yield f"the {word} run was stopped before its end"
    second = {model.name: model for model in after.models}
    for model in before.models:
        other = second.get(model.name)
        if other is None:
            yield f"the second run lacks {model.name}"
            continue
        stages = {stage.stage: stage for stage in other.stages}
        for stage in model.stages:
            place, now = f"{model.name}, {stage.stage}", stages.get(stage.stage)
            gone = [] if now is None else [f for f in _FIGURES if _is_gone(f, stage, now)]
            if now is None:
                yield f"the second run lacks {place}"
            yield from (f"the second run lacks {figure} of {place}" for figure in gone)
        if model.ability and not other.ability:
            yield f"the second run lacks ability of {model.name}"


def _is_gone(figure: str, before: Stage, after: Stage) -> bool:
    """Tell whether a stage lost a figure, or all of it.

    What an open loop gave may be known of one run and not of another by chance.
    """
    if figure == "out_tok_s" and after.mode == "open" and after.out_tok_s is None:
        return False
    if not _amount(getattr(before, figure)):
        return False
    now: float | None = _amount(getattr(after, figure))
    return now is None or (now == 0 and figure in _RATES)


def _amount(figure: Distribution | Estimate | Proportion | None) -> float | None:
    if figure is None:
        return None
    return figure.mean.value if isinstance(figure, Distribution) else figure.value


def _warnings(before: Results, after: Results, same: bool) -> Iterator[str]:
    if not same:
        yield "the runs' schedules differ: their requests were not the same"
    for word, results in (("first", before), ("second", after)):
        for reason in results.validity.reasons if not results.validity.valid else ():
            yield f"the {word} run is invalid: {reason}"
        for model in results.models:
            if model.broken is not None:
                yield f"in the {word} run {model.name} is invalid: {model.broken}"
    names = [{m.name for m in results.models} for results in (before, after)]
    for name in sorted(names[0] ^ names[1]):
        yield f"{name} is in one run only"


def _both(
    before: Sequence[ModelResult], after: Sequence[ModelResult]
) -> Iterator[tuple[ModelResult, ModelResult]]:
    second = {model.name: model for model in after}
    return ((m, second[m.name]) for m in before if m.name in second)


Key = tuple[str, str, str]
"""Model, stage, figure."""


def _paired(before: Results, events: tuple[Events, Events]) -> Mapping[Key, Estimate]:
    """Compare both runs' requests one by one."""
    first, second = (_by_place(side) for side in events)
    found: dict[Key, Estimate] = {}
    for model, stage in sorted(first.keys() & second.keys()):
        of_a, of_b = first[model, stage], second[model, stage]
        pair = latency.paired(model, model, stage, of_a, of_b)
        ratios = {"ttft": pair.ttft_ratio, "tpot": pair.tpot_ratio, "e2e": pair.e2e_ratio}
        found |= {(model, stage, name): r for name, r in ratios.items() if r is not None}
    return found


def _by_place(events: Events) -> Mapping[tuple[str, str], list[Record]]:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in events:
        if not record.planned.warm_up:
            found[record.planned.model, record.stage].append(record)
    return found


def _stages(a: ModelResult, b: ModelResult, paired: Mapping[Key, Estimate]) -> Iterator[Change]:
    second = {stage.stage: stage for stage in b.stages}
    for stage in a.stages:
        if stage.stage in second:
            yield from _times(a.name, stage, second[stage.stage], paired)
            yield from _rates(a.name, stage, second[stage.stage])


def _times(
    model: str, before: Stage, after: Stage, paired: Mapping[Key, Estimate]
) -> Iterator[Change]:
    for figure in _TIMES:
        a: Distribution | None = getattr(before, figure)
        b: Distribution | None = getattr(after, figure)
        if a is None or b is None:
            continue
        exact = paired.get((model, before.stage, figure))
        change = exact or ratio(a.mean, b.mean)
        if change is not None:
            yield Change(model, before.stage, figure, "ratio", False, a.mean.value, b.mean.value,
                         change, exact is not None)  # fmt: skip


def _rates(model: str, before: Stage, after: Stage) -> Iterator[Change]:
    for figure in _RATES:
        a: Estimate | None = getattr(before, figure)
        b: Estimate | None = getattr(after, figure)
        change = ratio(a, b) if a and b else None
        if a and b and change:
            yield Change(model, before.stage, figure, "ratio", True, a.value, b.value, change)
    if before.attainment and after.attainment:
        yield _difference(model, before.stage, "attainment", before.attainment, after.attainment)


def _ability(a: ModelResult, b: ModelResult) -> Iterator[Change]:
    if a.ability and b.ability:
        yield _difference(a.name, None, "ability", a.ability.overall, b.ability.overall)


def _difference(model: str, stage: str | None, figure: str, a: Proportion, b: Proportion) -> Change:
    change = difference(a, b)
    return Change(model, stage, figure, "difference", True, a.value, b.value, change)


def ratio(before: Estimate, after: Estimate) -> Estimate | None:
    """Return after / before; no interval where one of them has none; None where it is undefined."""
    if before.value <= 0 or after.value <= 0:
        return None
    value = after.value / before.value
    of_a, of_b = _log_spread(before), _log_spread(after)
    if of_a is None or of_b is None:
        return Estimate(value=value)
    (down_a, up_a), (down_b, up_b) = of_a, of_b
    return Estimate(
        value=value,
        low=value * math.exp(-math.hypot(down_b, up_a)),
        high=value * math.exp(math.hypot(up_b, down_a)),
    )


def _log_spread(estimate: Estimate) -> tuple[float, float] | None:
    """Return how far the interval reaches down and up, as logarithms of ratios."""
    low, high, value = estimate.low, estimate.high, estimate.value
    if low is None or high is None or low <= 0:
        return None
    return max(0.0, math.log(value / low)), max(0.0, math.log(high / value))


def difference(before: Proportion, after: Proportion) -> Estimate:
    """Return after - before with Newcombe's interval."""
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Estimate(value=value, low=value - down, high=value + up)
