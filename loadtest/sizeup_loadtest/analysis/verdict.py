"""The smallest model that meets the requirements. Pure.

A model is judged by its point estimates, not by a confidence bound; where an interval contains the
requirement, the verdict notes it: more questions or blocks could change the result. The script of
the report (`report/templates/page.js`) applies the same rule to other requirements.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    Estimate,
    ModelResult,
    Proportion,
    RequirementCheck,
    Requirements,
    Verdict,
)

State = Literal["met", "missed", "unknown"]
Measured = Estimate | Proportion
"""A measurement that a requirement limits."""

SENTENCES = {
    "smallest": "The smallest model that meets the requirements ({requirements}) is {name}.",
    "first": "The first listed model that meets the requirements ({requirements}) is {name}.",
    "none": "No measured model meets the requirements ({requirements}).",
    "close": " The 95 % interval of its {names} contains the requirement.",
    "no_ability": " No ability was required.",
    "unmeasured": " Not fully measured: {names}.",
}
"""Also used by the script of the report."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one field of Requirements limits, and how it is written."""

    key: str
    name: str
    unit: str
    measured: Callable[[ModelResult], Measured | None]
    is_minimum: bool = True
    scale: float = 1
    """Of a value in its unit to the value in Results."""

    def limit(self, requirements: Requirements) -> float | None:
        value: float | None = getattr(requirements, self.key)
        return value

    def state(self, model: ModelResult, limit: float) -> State:
        """Compare a model with a limit; unknown where it was not measured."""
        if (seen := self.measured(model)) is None:
            return "unknown"
        met = seen.value >= limit if self.is_minimum else seen.value <= limit
        return "met" if met else "missed"

    def is_close(self, model: ModelResult, limit: float) -> bool:
        """Whether the interval of the measurement contains a limit."""
        seen = self.measured(model)
        if seen is None or seen.low is None or seen.high is None:
            return False
        return seen.low < limit < seen.high

    def number(self, value: float) -> str:
        return formatting.tick(value * self.scale)

    def describe(self, limit: float) -> str:
        """Return the requirement as text: ability ≥ 60 %."""
        return f"{self.name} {'≥' if self.is_minimum else '≤'} {self.number(limit)} {self.unit}"

    def missed_by(self, model: ModelResult, limit: float) -> str:
        seen = self.measured(model)
        rounded = float(f"{seen.value:.3g}") if seen else 0.0
        sign = "<" if self.is_minimum else ">"
        values = (f"{self.number(value)} {self.unit}" for value in (rounded, limit))
        return f"{self.name} {f' {sign} '.join(values)}"


def decide(
    models: Sequence[ModelResult], requirements: Requirements, ordered_by_size: bool = True
) -> Verdict:
    """Check every model; `models` are ordered from the smallest up where `ordered_by_size`."""
    checks = tuple(check(model, requirements) for model in models)
    return Verdict(
        requirements=requirements,
        smallest=next((c.model for c in checks if c.passes), None),
        checks=checks,
        sentence=_sentence(models, requirements, checks, ordered_by_size),
    )


def check(model: ModelResult, requirements: Requirements) -> RequirementCheck:
    """Check one model: None when nothing failed but something was not measured.

    An invalid model does not pass, whatever its results.
    """
    if model.invalid_reason is not None:
        misses = (f"invalid: {model.invalid_reason}",)
        return RequirementCheck(model=model.name, passes=False, misses=misses)
    states = [(one, limit, one.state(model, limit)) for one, limit in required(requirements)]
    failed = [one.missed_by(model, limit) for one, limit, state in states if state == "missed"]
    unknown = [f"{one.name} not measured" for one, _, state in states if state == "unknown"]
    passes = False if failed else None if unknown or not states else True
    return RequirementCheck(model=model.name, passes=passes, misses=(*failed, *unknown))


def required(requirements: Requirements) -> Sequence[tuple[Requirement, float]]:
    """Return the requirements that are set, with their limits."""
    limits = ((one, one.limit(requirements)) for one in REQUIREMENTS.values())
    return [(one, limit) for one, limit in limits if limit is not None]


def _ability(model: ModelResult) -> Measured | None:
    return model.ability.overall if model.ability else None


def _of_lightest(metric: str) -> Callable[[ModelResult], Measured | None]:
    return lambda model: getattr(lightest_stage(model), metric, None)


def _ttft(model: ModelResult) -> Measured | None:
    """Return the median; of too few requests for one, the mean."""
    stage = lightest_stage(model)
    if stage is None or stage.ttft is None:
        return None
    seen = stage.ttft
    return seen.mean if seen.p50 is None else Estimate(value=seen.p50)


def _cost(model: ModelResult) -> Measured | None:
    return model.cost.per_million_output_tokens if model.cost else None


REQUIREMENTS: Mapping[str, Requirement] = {
    one.key: one
    for one in (
        Requirement("ability", "ability", "%", _ability, scale=100),
        Requirement("tok_s_user", "speed", "tokens/s", _of_lightest("tok_s_user")),
        Requirement("ttft_p50", "TTFT p50", "s", _ttft, is_minimum=False),
        Requirement("attainment", "SLO attainment", "%", _of_lightest("attainment"), scale=100),
        Requirement("cost_per_million", "cost", "$/M tokens", _cost, is_minimum=False),
    )
}
"""By field of Requirements."""


def _sentence(
    models: Sequence[ModelResult],
    requirements: Requirements,
    checks: Sequence[RequirementCheck],
    ordered_by_size: bool,
) -> str:
    if not required(requirements):
        return without_requirements(models)
    text = ", ".join(one.describe(limit) for one, limit in required(requirements))
    chosen = next((i for i, check in enumerate(checks) if check.passes), None)
    if chosen is None:
        return SENTENCES["none"].format(requirements=text) + _unmeasured(checks)
    key = "smallest" if ordered_by_size else "first"
    sentence = SENTENCES[key].format(requirements=text, name=models[chosen].name)
    close = [one.name for one, at in required(requirements) if one.is_close(models[chosen], at)]
    if close:
        sentence += SENTENCES["close"].format(names=" and ".join(close))
    if requirements.ability is None:
        sentence += SENTENCES["no_ability"]
    return sentence + _unmeasured(checks[:chosen])


def _unmeasured(checks: Sequence[RequirementCheck]) -> str:
    unknown = [c.model for c in checks if c.passes is None]
    return SENTENCES["unmeasured"].format(names=", ".join(unknown)) if unknown else ""


def without_requirements(models: Sequence[ModelResult]) -> str:
    """Name the most accurate and the fastest model."""
    sentences = ["No requirements are set, so no model is recommended."]
    valid = [model for model in models if model.invalid_reason is None]
    if accuracy := [(found.value, model.name) for model in valid if (found := _ability(model))]:
        value, name = max(accuracy)
        sentences.append(f"Most accurate: {name} ({formatting.percent(value)} correct).")
    measured = REQUIREMENTS["tok_s_user"].measured
    if speed := [(found.value, model.name) for model in valid if (found := measured(model))]:
        value, name = max(speed)
        sentences.append(f"Fastest: {name} ({formatting.number(value)} tokens/s per user).")
    return " ".join(sentences)
