"""What a size costs, from a price per hour and what was measured. Pure.

    dollars per million tokens = price per hour / 3600 / tokens per second * 1e6
    dollars per right answer   = price per hour / 3600 / right answers per second

Throughput is the highest that was measured within the objective: a size that serves many at once
is cheaper per token, but only as long as nobody waits too long. Right answers are those of the
ability phase over its own time, so that long questions and short answers cost what they cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sizeup_loadtest.data.results import AbilityResult, CapacityResult, Cost, Estimate, ModelResult

_SECONDS_PER_HOUR = 3600
_THOUSAND = 1e3
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Throughput:
    """A load that was measured."""

    mode: Literal["closed", "open"]
    level: float
    tokens_per_second: Estimate
    within: bool
    """Whether it kept the objective; True where no objective was asked."""


def of(model: ModelResult, price_per_hour: float | None, attainment: float = 0.95) -> Cost | None:
    """Return what a size costs; None without a price. `attainment` is the objective's share.

    When no load kept the objective, the highest throughput of all is used, and its level said.
    """
    if price_per_hour is None:
        return None
    per_second = price_per_hour / _SECONDS_PER_HOUR
    found = throughputs(model, attainment)
    best = max(found, key=lambda t: (t.within, t.tokens_per_second.value), default=None)
    right = model.ability.correct_per_second if model.ability else None
    return Cost(
        price_per_hour=price_per_hour,
        per_million_output_tokens=_each(
            per_second * _MILLION, best.tokens_per_second if best else None
        ),
        at_level=best.level if best else None,
        within=best.within if best else None,
        upper_bound=best is not None and _bounds(best, found, model.capacity),
        per_correct_answer=_each(per_second, right),
    )


def throughputs(model: ModelResult, attainment: float = 0.95) -> list[Throughput]:
    """Return every throughput that was measured."""
    found = [
        Throughput(
            s.mode, s.level, s.out_tok_s, s.attainment is None or s.attainment.value >= attainment
        )
        for s in model.stages
        if s.out_tok_s is not None
    ]
    if (searched := model.capacity) is not None:
        for point in (point for point in searched.points if point.out_tok_s):
            within = point.attainment.value >= attainment and not point.saturated
            rate = Estimate(value=point.out_tok_s)
            found.append(Throughput(searched.mode, point.level, rate, within))
    return [t for t in found if t.tokens_per_second.value > 0]


def _bounds(best: Throughput, found: Sequence[Throughput], searched: CapacityResult | None) -> bool:
    """Tell whether a larger load may be within too: none was tried, or not all that mattered."""
    max_load = best.level == max(t.level for t in found if t.mode == best.mode)
    ended = searched is None or (searched.finished and not searched.client_late)
    return best.within and (max_load or not ended)


def _each(price: float, rate: Estimate | None) -> Estimate | None:
    """Divide a price of a second by a rate; the interval's ends change places."""
    if rate is None or rate.value <= 0:
        return None
    if not rate.low or not rate.high:  # from 0 on: no price is too high
        return Estimate(value=price / rate.value)
    return Estimate(value=price / rate.value, low=price / rate.high, high=price / rate.low)


def per_thousand(cost: Cost | None) -> Estimate | None:
    """Return dollars of 1,000 right answers: of one, they are too few to read."""
    if cost is None or cost.per_correct_answer is None:
        return None
    one = cost.per_correct_answer
    low, high = (None if end is None else end * _THOUSAND for end in (one.low, one.high))
    return Estimate(value=one.value * _THOUSAND, low=low, high=high)


def seconds_per_correct(ability: AbilityResult | None) -> float | None:
    """Return how long one waits, on average, for a right answer when wrong ones are asked again."""
    if ability is None or ability.seconds_per_answer is None or ability.overall.successes == 0:
        return None
    return ability.seconds_per_answer.value / ability.overall.value
