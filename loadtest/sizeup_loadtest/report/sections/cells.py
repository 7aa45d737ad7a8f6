"""Cells that several tables share."""

from sizeup_loadtest.report import words
from sizeup_loadtest.report.axes import Write
from sizeup_loadtest.report.tables import Cell, blank
from sizeup_loadtest.results import Distribution, Estimate, ModelFacts, Proportion

NO_STAGE = "no speed was measured for this size"
NO_ABILITY = "ability was not measured (config: ability.enabled)"
NO_PRICE = "no price in the config (models[].price_per_hour)"
FEW = "too few requests for this percentile's own 95 % interval"


def of_estimate(estimate: Estimate | None, write: Write, reason: str = NO_STAGE) -> Cell:
    """Return a value with its interval."""
    if estimate is None:
        return blank(reason)
    told = None if estimate.low is None else words.interval(estimate, write)
    return Cell(write(estimate.value), told)


def of_share(share: Proportion | None, reason: str = NO_ABILITY, bar: bool = False) -> Cell:
    """Return a share with its interval."""
    if share is None:
        return blank(reason)
    told = f"{share.low * 100:.0f} to {share.high * 100:.0f}"
    return Cell(words.percent(share.value), told, share=share.value if bar else None)


def of_percentile(value: float | None, seen: Distribution | None) -> Cell:
    """Return a percentile, blank where n does not allow it."""
    if seen is None:
        return blank(NO_STAGE)
    return blank(FEW) if value is None else Cell(words.seconds(value))


def of_value(value: float | None, write: Write, reason: str) -> Cell:
    """Return a plain value."""
    return blank(reason) if value is None else Cell(write(value))


def described(facts: ModelFacts) -> str | None:
    """Say what a size is: parameters, layers, data type."""
    parts = [
        f"{words.parameters(facts.parameters)} parameters" if facts.parameters else None,
        f"{facts.layers} layers" if facts.layers else None,
        facts.dtype,
    ]
    return " · ".join(part for part in parts if part) or None
