"""What a size costs, from a price per hour and measured throughput. Pure.

    dollars per million tokens = price per hour / 3600 / tokens per second * 1e6
    dollars per correct answer = dollars per token * tokens per answer / share of right answers

Throughput is the highest that was measured within the objective: a size that serves many at once
is cheaper per token, but only as long as nobody waits too long.
"""

from dataclasses import dataclass

from sizeup_loadtest.results import AbilityResult, Cost, ModelResult

_SECONDS_PER_HOUR = 3600
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Throughput:
    """A load that was measured."""

    level: float
    tokens_per_second: float
    within: bool
    """Whether it kept the objective; True where no objective was asked."""


def of(model: ModelResult, price_per_hour: float | None, attainment: float = 0.95) -> Cost | None:
    """Return what a size costs; None without a price. `attainment` is the objective's share.

    When no load kept the objective, the highest throughput of all is used, and its level said.
    """
    if price_per_hour is None:
        return None
    best = best_throughput(model, attainment)
    if best is None:
        return Cost(
            price_per_hour=price_per_hour,
            per_million_output_tokens=None,
            at_level=None,
            per_correct_answer=None,
        )
    per_token = price_per_hour / _SECONDS_PER_HOUR / best.tokens_per_second
    return Cost(
        price_per_hour=price_per_hour,
        per_million_output_tokens=per_token * _MILLION,
        at_level=best.level,
        within=best.within,
        per_correct_answer=_per_correct(per_token, model.ability),
    )


def best_throughput(model: ModelResult, attainment: float = 0.95) -> Throughput | None:
    """Return the highest measured throughput, within the objective where any load is."""
    found = _throughputs(model, attainment)
    return max(found, key=lambda t: (t.within, t.tokens_per_second), default=None)


def _throughputs(model: ModelResult, attainment: float) -> list[Throughput]:
    searched = model.capacity.points if model.capacity else ()
    found = [
        Throughput(p.level, p.out_tok_s, p.attainment.value >= attainment and not p.saturated)
        for p in searched
    ]
    found += [
        Throughput(
            s.level, s.out_tok_s.value, s.attainment is None or s.attainment.value >= attainment
        )
        for s in model.stages
        if s.out_tok_s is not None
    ]
    return [t for t in found if t.tokens_per_second > 0]


def _per_correct(per_token: float, ability: AbilityResult | None) -> float | None:
    if ability is None or ability.tokens_per_answer is None or ability.overall.successes == 0:
        return None
    return per_token * ability.tokens_per_answer.value / ability.overall.value


def seconds_per_correct(ability: AbilityResult | None) -> float | None:
    """Return how long one waits, on average, for a right answer when wrong ones are asked again."""
    if ability is None or ability.seconds_per_answer is None or ability.overall.successes == 0:
        return None
    return ability.seconds_per_answer.value / ability.overall.value
