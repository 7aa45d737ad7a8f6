"""Comparison of two runs: ratios of latencies and rates, differences of proportions. Pure.

Ratios are second run / first run. With the records of both runs of one schedule, latencies are
paired by request (`pairing.paired`); else the interval of a ratio combines those of both runs,
whose relative errors add in quadrature. Differences of proportions have Newcombe's interval (1998,
method 10), made of both Wilson intervals.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from sizeup_loadtest.analysis import intervals, validity
from sizeup_loadtest.analysis.comparison import pairing
from sizeup_loadtest.analysis.stages.blocks import by_stage
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import (
    Distribution,
    Estimate,
    ModelResult,
    Proportion,
    Results,
    StageResult,
)
from sizeup_loadtest.errors import UsageError

Kind = Literal["ratio", "difference"]
Measured = Estimate | Proportion | None

TIMES = ("ttft", "tpot", "e2e")
_RATES = ("out_tok_s", "goodput")
_METRICS = (*TIMES, *_RATES, "attainment")
_CHAT = frozenset({"instruct", "chat", "it", "latest"})


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of one model in both runs."""

    model: str
    stage: str | None
    metric: str
    kind: Kind
    larger_is_better: bool
    before: float
    after: float
    change: Estimate
    """after / before, or after - before."""
    paired: bool = False
    """Paired by request, which cancels the effect of the prompt."""
    blocks: int = intervals.MIN_BLOCKS
    """Of the run with fewer: the degrees of freedom of the interval, plus one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every metric that both runs have, and what limits the comparison."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    same_schedule: bool
    invalid: tuple[str, ...] = ()
    """Invalid runs and models, with the reason."""
    missing: tuple[str, ...] = ()
    """Incomplete runs, and what the first run has and the second lacks."""


Records = Sequence[Record]


def compare_runs(
    before: Results, after: Results, records: tuple[Records, Records] | None = None
) -> Comparison:
    """Compare two runs; their `records` are used when the schedules are equal."""
    same = before.schedule_hash == after.schedule_hash
    paired = _paired(records) if records and same else {}
    blocks = max(intervals.MIN_BLOCKS, min(_blocks(before), _blocks(after)))
    changes = tuple(replace(change, blocks=blocks) for change in _changes(before, after, paired))
    return Comparison(
        changes,
        warnings=tuple(_warnings(before, after, same)),
        same_schedule=same,
        invalid=tuple(_invalid(before, after)),
        missing=tuple(_missing(before, after)),
    )


def renamed(before: Results, after: Results, pairs: Sequence[str]) -> Results:
    """Return the second run with the names of the first: pairs are FIRST=SECOND.

    UsageError for a name that its run does not have, or has after renaming twice.
    """
    names = {model.name: model.name for model in after.models}
    for pair in pairs:
        first, second = _split(pair, {m.name for m in before.models}, names.keys())
        names[second] = first
    if len({*names.values()}) < len(names):
        raise UsageError("--pair: two models of the second run would have the same name")
    models = (model.model_copy(update={"name": names[model.name]}) for model in after.models)
    return after.model_copy(update={"models": tuple(models)})


def _split(pair: str, first: Set[str], second: Set[str]) -> tuple[str, str]:
    """Split FIRST=SECOND where both are names; either may have a `=` itself."""
    ends = [i for i, character in enumerate(pair) if character == "="]
    for end in ends:
        if pair[:end] in first and pair[end + 1 :] in second:
            return pair[:end], pair[end + 1 :]
    raise UsageError(
        f"--pair {pair}: not FIRST=SECOND with a model of each run "
        f"({', '.join(sorted(first))} and {', '.join(sorted(second))})"
    )


def _blocks(results: Results) -> int:
    """Return the number of blocks in the plan, from the config that the results carry."""
    blocks = results.config_section("load").get("blocks")
    return blocks if isinstance(blocks, int) else intervals.MIN_BLOCKS


def _missing(before: Results, after: Results) -> Iterator[str]:
    """Yield stopped runs, and every model, stage and metric that the second run lacks."""
    for word, results in (("first", before), ("second", after)):
        if validity.STOPPED in results.validity.warnings:
            yield f"the {word} run was stopped before its end"
    second = {model.name: model for model in after.models}
    for model in before.models:
        if model.name in second:
            yield from _missing_in(model, second[model.name])
        else:
            yield f"the second run lacks {model.name}"


def _missing_in(before: ModelResult, after: ModelResult) -> Iterator[str]:
    stages = {stage.stage: stage for stage in after.stages}
    for stage in before.stages:
        other = stages.get(stage.stage)
        if other is None:
            yield f"the second run lacks {before.name}, {stage.stage}"
            continue
        for metric in _METRICS:
            if _is_missing(metric, stage, other):
                yield f"the second run lacks {metric} of {before.name}, {stage.stage}"
    if before.ability and not after.ability:
        yield f"the second run lacks ability of {before.name}"


def _is_missing(metric: str, before: StageResult, after: StageResult) -> bool:
    """Whether a stage lost a metric, or all of its rate.

    Output throughput of an open loop can be unknown in one of two equal runs by chance.
    """
    if metric == "out_tok_s" and after.mode == "open" and after.out_tok_s is None:
        return False
    first, second = _measured(before, metric), _measured(after, metric)
    if first is None or not first.value:
        return False
    return second is None or (second.value == 0 and metric in _RATES)


def _measured(stage: StageResult, metric: str) -> Measured:
    seen: Distribution | Estimate | Proportion | None = getattr(stage, metric)
    return seen.mean if isinstance(seen, Distribution) else seen


def _warnings(before: Results, after: Results, same: bool) -> Iterator[str]:
    if not same:
        yield "the schedules differ: the runs sent different requests"
    first, second = ({m.name for m in results.models} for results in (before, after))
    for name in sorted(first ^ second):
        yield f"{name} is in one run only"
    for a in sorted(first - second):
        for b in sorted(second - first):
            if _plain(a) == _plain(b):
                yield f"{a} and {b} may be the same model: --pair {a}={b}"


def _plain(name: str) -> Sequence[str]:
    """Return a model's name without its publisher, and what all chat models are called."""
    words = re.split(r"[:_ -]+", name.rpartition("/")[2].lower())
    return [word for word in words if word not in _CHAT]


def _invalid(before: Results, after: Results) -> Iterator[str]:
    for word, results in (("first", before), ("second", after)):
        for reason in results.validity.reasons if not results.validity.valid else ():
            yield f"the {word} run is invalid: {reason}"
        for model in results.models:
            if model.invalid_reason is not None:
                yield f"{model.name} is invalid in the {word} run: {model.invalid_reason}"


Key = tuple[str, str | None, str]
"""Model, stage, metric; ability has no stage."""


def _paired(records: tuple[Records, Records]) -> Mapping[Key, Estimate]:
    """Compare both runs request by request."""
    first, second = (by_stage(side) for side in records)
    result: dict[Key, Estimate] = {}
    for model, stage in sorted(first.keys() & second.keys()):
        pair = pairing.paired(model, model, stage, first[model, stage], second[model, stage])
        ratios = {"ttft": pair.ttft_ratio, "tpot": pair.tpot_ratio, "e2e": pair.e2e_ratio}
        result |= {(model, stage, name): r for name, r in ratios.items() if r is not None}
    return result


def _changes(before: Results, after: Results, paired: Mapping[Key, Estimate]) -> Iterator[Change]:
    """Yield the change of every metric that both runs have."""
    second = dict(_metrics(after))
    for key, a in _metrics(before):
        b, exact = second.get(key), paired.get(key)
        if isinstance(a, Proportion) and isinstance(b, Proportion):
            yield Change(*key, "difference", True, a.value, b.value, difference(a, b))
        elif isinstance(a, Estimate) and isinstance(b, Estimate):
            is_rate, change = key[2] not in TIMES, exact or ratio(a, b)
            if change is not None:
                yield Change(*key, "ratio", is_rate, a.value, b.value, change, exact is not None)


def _metrics(results: Results) -> Iterator[tuple[Key, Measured]]:
    for model in results.models:
        for stage in model.stages:
            for metric in _METRICS:
                yield (model.name, stage.stage, metric), _measured(stage, metric)
        if model.ability:
            yield (model.name, None, "ability"), model.ability.overall


def ratio(before: Estimate, after: Estimate) -> Estimate | None:
    """Return after / before, None where undefined; no interval where one of them has none."""
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
    """Return the distance to both ends of the interval, as logarithms of ratios."""
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
