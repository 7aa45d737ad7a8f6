"""The smallest model that meets the requirements. Pure.

A model is judged by its point estimates, not by a confidence bound; where an interval contains the
requirement, the verdict notes it: more questions or blocks could change the result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Measured:
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class _Requirement:
    name: str
    is_minimum: bool
    limit: Callable[[Requirements], float | None]
    measured: Callable[[ModelResult], _Measured | None]
    format: Callable[[float], str]

    def met_by(self, value: float, limit: float) -> bool:
        return value >= limit if self.is_minimum else value <= limit


def decide(models: Sequence[ModelResult], requirements: Requirements) -> Verdict:
    """Check every model; `models` are ordered from the smallest up."""
    checks = tuple(check(model, requirements) for model in models)
    any_set = bool(_set(requirements))
    smallest = next((c.model for c in checks if c.passes), None) if any_set else None
    return Verdict(
        requirements=requirements,
        smallest=smallest,
        checks=checks,
        sentence=_sentence(models, requirements, checks, smallest),
    )


def check(model: ModelResult, requirements: Requirements) -> RequirementCheck:
    """Check one model: None when nothing failed but something was not measured.

    An invalid model does not pass, whatever its results.
    """
    if model.invalid_reason is not None:
        misses = (f"invalid: {model.invalid_reason}",)
        return RequirementCheck(model=model.name, passes=False, misses=misses)
    failed, unknown = [], []
    for requirement in _set(requirements):
        measured, limit = requirement.measured(model), requirement.limit(requirements) or 0.0
        if measured is None:
            unknown.append(f"{requirement.name} not measured")
        elif not requirement.met_by(measured.value, limit):
            sign = "<" if requirement.is_minimum else ">"
            value = requirement.format(measured.value)
            failed.append(f"{requirement.name} {value} {sign} {requirement.format(limit)}")
    passes = False if failed else (None if unknown else True)
    return RequirementCheck(model=model.name, passes=passes, misses=(*failed, *unknown))


def close_calls(model: ModelResult, requirements: Requirements) -> tuple[str, ...]:
    """Return the requirements that lie inside the interval of the measurement."""
    return tuple(
        requirement.name
        for requirement in _set(requirements)
        if _contains(requirement.measured(model), requirement.limit(requirements))
    )


def _contains(measured: _Measured | None, limit: float | None) -> bool:
    if measured is None or limit is None or measured.low is None or measured.high is None:
        return False
    return measured.low < limit < measured.high


def _set(requirements: Requirements) -> tuple[_Requirement, ...]:
    return tuple(one for one in _ALL if one.limit(requirements) is not None)


def _with_interval(seen: Proportion | Estimate | None) -> _Measured | None:
    return None if seen is None else _Measured(seen.value, seen.low, seen.high)


def _ability(model: ModelResult) -> _Measured | None:
    return _with_interval(model.ability.overall) if model.ability else None


def _speed(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    return _with_interval(stage.tok_s_user) if stage else None


def _ttft(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    if stage is None or stage.ttft is None or stage.ttft.p50 is None:
        return None
    return _Measured(stage.ttft.p50)


def _attainment(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    return _with_interval(stage.attainment) if stage else None


def _tokens_per_second(value: float) -> str:
    return f"{formatting.tick(float(f'{value:.3g}'))} tokens/s"


_ALL = (
    _Requirement("ability", True, lambda r: r.ability, _ability, formatting.percent),
    _Requirement("speed", True, lambda r: r.tok_s_user, _speed, _tokens_per_second),
    _Requirement("TTFT p50", False, lambda r: r.ttft_p50, _ttft, formatting.seconds),
    _Requirement("SLO attainment", True, lambda r: r.attainment, _attainment, formatting.percent),
)


def describe(requirements: Requirements) -> str:
    """Return the requirements as text: ability ≥ 60 %, speed ≥ 20 tokens/s."""
    return ", ".join(
        f"{one.name} {'≥' if one.is_minimum else '≤'} {one.format(one.limit(requirements) or 0.0)}"
        for one in _set(requirements)
    )


def _sentence(
    models: Sequence[ModelResult],
    requirements: Requirements,
    checks: Sequence[RequirementCheck],
    smallest: str | None,
) -> str:
    if not _set(requirements):
        return _without_requirements(models)
    text = describe(requirements)
    if smallest is None:
        return f"No model is known to meet the requirements ({text}).{_unmeasured(checks)}"
    sentence = f"The smallest model that meets the requirements ({text}) is {smallest}."
    smaller = checks[: [c.model for c in checks].index(smallest)]
    chosen = next(m for m in models if m.name == smallest)
    if close := close_calls(chosen, requirements):
        sentence += f" The 95 % interval of its {' and '.join(close)} contains the requirement."
    return sentence + _unmeasured(smaller)


def _unmeasured(checks: Sequence[RequirementCheck]) -> str:
    unknown = [c.model for c in checks if c.passes is None]
    return f" Not fully measured: {', '.join(unknown)}." if unknown else ""


def _without_requirements(models: Sequence[ModelResult]) -> str:
    """Name the most accurate and the fastest model."""
    sentences = ["No requirements are configured, so no model is recommended."]
    valid = [model for model in models if model.invalid_reason is None]
    accuracy = [(found.value, m.name) for m in valid if (found := _ability(m)) is not None]
    speed = [(found.value, m.name) for m in valid if (found := _speed(m)) is not None]
    if accuracy:
        value, name = max(accuracy)
        sentences.append(f"Most accurate: {name} ({formatting.percent(value)} correct).")
    if speed:
        value, name = max(speed)
        sentences.append(f"Fastest: {name} ({_tokens_per_second(value)} per user).")
    return " ".join(sentences)
