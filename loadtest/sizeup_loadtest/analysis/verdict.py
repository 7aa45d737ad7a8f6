"""Which size is enough: the smallest that reaches the bar. Pure.

A size is judged by what was measured, not by the friendly end of its interval; where the interval
holds the bar, the sentence says that more questions or more blocks could change it.
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
class _Demand:
    """One thing the bar asks."""

    name: str
    at_least: bool
    asked: Callable[[Requirements], float | None]
    measured: Callable[[ModelResult], _Measured | None]
    write: Callable[[float], str]


def decide(models: Sequence[ModelResult], requirements: Requirements) -> Verdict:
    """Judge every size against the bar; `models` are ordered from the smallest up."""
    checks = tuple(check(model, requirements) for model in models)
    smallest = next((c.model for c in checks if c.passes), None) if _demands(requirements) else None
    return Verdict(
        requirements=requirements, smallest=smallest, checks=checks, sentence=_sentence(models, requirements, checks, smallest)
    )


def check(model: ModelResult, requirements: Requirements) -> RequirementCheck:
    """Judge one size: None when nothing fails but something was not measured.

    A broken one does not pass, whatever was measured of it.
    """
    if model.broken is not None:
        return RequirementCheck(model=model.name, passes=False, misses=(f"broken: {model.broken}",))
    misses, unknown = [], []
    for demand in _demands(requirements):
        found, asked = demand.measured(model), demand.asked(requirements) or 0.0
        if found is None:
            unknown.append(f"{demand.name} was not measured")
        elif not _reaches(demand, found.value, asked):
            sign = "<" if demand.at_least else ">"
            misses.append(f"{demand.name} {demand.write(found.value)} {sign} {demand.write(asked)}")
    passes = False if misses else (None if unknown else True)
    return RequirementCheck(model=model.name, passes=passes, misses=(*misses, *unknown))


def close_calls(model: ModelResult, requirements: Requirements) -> tuple[str, ...]:
    """Name what the bar asks whose interval holds the bar: it could go either way."""
    return tuple(
        demand.name
        for demand in _demands(requirements)
        if _straddles(demand.measured(model), demand.asked(requirements))
    )


def _straddles(found: _Measured | None, asked: float | None) -> bool:
    if found is None or asked is None or found.low is None or found.high is None:
        return False
    return found.low < asked < found.high


def _reaches(demand: _Demand, value: float, asked: float) -> bool:
    return value >= asked if demand.at_least else value <= asked


def _demands(requirements: Requirements) -> tuple[_Demand, ...]:
    return tuple(demand for demand in _ALL if demand.asked(requirements) is not None)


def _from_share(share: Proportion | None) -> _Measured | None:
    return None if share is None else _Measured(share.value, share.low, share.high)


def _from_estimate(estimate: Estimate | None) -> _Measured | None:
    return None if estimate is None else _Measured(estimate.value, estimate.low, estimate.high)


def _ability(model: ModelResult) -> _Measured | None:
    return _from_share(model.ability.overall) if model.ability else None


def _speed(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    return _from_estimate(stage.tok_s_user) if stage else None


def _first_token(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    if stage is None or stage.ttft is None or stage.ttft.p50 is None:
        return None
    return _Measured(stage.ttft.p50)


def _attainment(model: ModelResult) -> _Measured | None:
    stage = lightest_stage(model)
    return _from_share(stage.attainment) if stage else None


def _speed_words(value: float) -> str:
    return f"{formatting.tick(float(f'{value:.3g}'))} tokens/s"


_ALL = (
    _Demand("ability", True, lambda b: b.ability, _ability, formatting.percent),
    _Demand("speed", True, lambda b: b.tok_s_user, _speed, _speed_words),
    _Demand("first token", False, lambda b: b.ttft_p50, _first_token, formatting.seconds),
    _Demand("attainment", True, lambda b: b.attainment, _attainment, formatting.percent),
)


def describe(requirements: Requirements) -> str:
    """Say what the bar asks."""
    return ", ".join(
        f"{d.name} {'≥' if d.at_least else '≤'} {d.write(d.asked(requirements) or 0.0)}"
        for d in _demands(requirements)
    )


def _sentence(
    models: Sequence[ModelResult], requirements: Requirements, checks: Sequence[RequirementCheck], smallest: str | None
) -> str:
    if not _demands(requirements):
        return _without_bar(models)
    asked = describe(requirements)
    if smallest is None:
        return f"No size is known to pass your bar ({asked}).{_open(checks)}"
    said = f"The smallest size that passes your bar ({asked}) is {smallest}."
    below = checks[: [c.model for c in checks].index(smallest)]
    chosen = next(m for m in models if m.name == smallest)
    close = close_calls(chosen, requirements)
    if close:
        said += f" It is close: its interval of {' and of '.join(close)} holds the bar."
    return said + _open(below)


def _open(checks: Sequence[RequirementCheck]) -> str:
    unknown = [c.model for c in checks if c.passes is None]
    return f" Not fully measured: {', '.join(unknown)}." if unknown else ""


def _without_bar(models: Sequence[ModelResult]) -> str:
    """Say what there is to choose between when nobody said what is enough."""
    said = ["No bar was set, so no size is recommended."]
    whole = [model for model in models if model.broken is None]
    able = [(f.value, m.name) for m in whole if (f := _ability(m)) is not None]
    fast = [(f.value, m.name) for m in whole if (f := _speed(m)) is not None]
    if able:
        value, name = max(able)
        said.append(f"The ablest is {name} ({formatting.percent(value)} right).")
    if fast:
        value, name = max(fast)
        said.append(f"The fastest is {name} ({_speed_words(value)} per user).")
    return " ".join(said)
