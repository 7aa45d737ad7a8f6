"""Cost of a model, from a price per hour and the measurements. Pure.

    dollars per million tokens = price per hour / 3600 / tokens per second * 1e6
    dollars per correct answer = price per hour / 3600 / correct answers per second

Throughput is the highest measured within the SLO: concurrency makes tokens cheaper, but only counts
while latency is acceptable. Correct answers are those of the ability phase over its duration, so
that long questions and short answers are weighted as they occur.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sizeup_loadtest.analysis.stages.capacity import passes
from sizeup_loadtest.data.ability import AbilityResult
from sizeup_loadtest.data.results import CapacityResult, Cost, Estimate, ModelResult


@dataclass(frozen=True, slots=True)
class Throughput:
    """Throughput measured under one load."""

    mode: Literal["closed", "open"]
    level: float
    tokens_per_second: Estimate
    within_slo: bool
    """False where the SLO could not be evaluated, as in an open loop without a steady state."""


def estimate_cost(
    model: ModelResult, price_per_hour: float | None, attainment: float = 0.95
) -> Cost | None:
    """Return the cost of a model; None without a price. `attainment` is that of the SLO.

    Without any load within the SLO the highest throughput of all is used, and `within_slo`
    is False.
    """
    if price_per_hour is None:
        return None
    per_second = price_per_hour / 3600
    measured = throughputs(model, attainment)
    best = max(measured, key=lambda t: (t.within_slo, t.tokens_per_second.value), default=None)
    correct = model.ability.correct_per_second if model.ability else None
    return Cost(
        price_per_hour=price_per_hour,
        per_million_output_tokens=(
            best.tokens_per_second.reciprocal(per_second * 1e6) if best else None
        ),
        at_level=best.level if best else None,
        at_mode=best.mode if best else None,
        within_slo=best.within_slo if best else None,
        upper_bound=best is not None and _is_upper_bound(best, measured, model.capacity),
        per_correct_answer=correct.reciprocal(per_second) if correct else None,
    )


def throughputs(model: ModelResult, attainment: float = 0.95) -> list[Throughput]:
    """Return the throughput of every stage and of every load of the capacity search."""
    measured = []
    for s in model.stages:
        if s.out_tok_s is not None and s.invalid_reason is None:
            within = s.attainment is not None and s.attainment.value >= attainment
            measured.append(Throughput(s.mode, s.level, s.out_tok_s, within))
    if (capacity := model.capacity) is not None:
        for point in (point for point in capacity.points if point.out_tok_s):
            rate, within = Estimate(value=point.out_tok_s), passes(point, attainment)
            measured.append(Throughput(capacity.mode, point.level, rate, within))
    return [t for t in measured if t.tokens_per_second.value > 0]


def _is_upper_bound(
    best: Throughput, measured: Sequence[Throughput], capacity: CapacityResult | None
) -> bool:
    """Whether a larger load may be within the SLO too: not tried, or not tried conclusively."""
    largest = best.level == max(t.level for t in measured if t.mode == best.mode)
    conclusive = capacity is None or (capacity.finished and not capacity.client_late)
    return best.within_slo and (largest or not conclusive)


def per_thousand(cost: Cost | None) -> Estimate | None:
    """Return dollars per 1,000 correct answers: the cost of one is too small to read."""
    if cost is None or cost.per_correct_answer is None:
        return None
    return cost.per_correct_answer.map(lambda one: one * 1e3)


def seconds_per_correct(ability: AbilityResult | None) -> float | None:
    """Return the mean time per correct answer when wrong answers are retried."""
    if ability is None or ability.seconds_per_answer is None or ability.overall.successes == 0:
        return None
    return ability.seconds_per_answer.value / ability.overall.value
