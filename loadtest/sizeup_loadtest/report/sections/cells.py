"""Cells that several tables share."""

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.results import (
    Cost,
    Distribution,
    Estimate,
    ModelInfo,
    ModelResult,
    Proportion,
    SuiteScore,
)
from sizeup_loadtest.report.charts.axes import Write
from sizeup_loadtest.report.tables import Cell, blank

NO_STAGE = "no speed was measured for this size"
NO_ABILITY = "ability was not measured (config: ability.enabled)"
NO_PRICE = "no price in the config (models[].price_per_hour)"
NO_MEMORY = "the server does not say its memory (/api/ps: size)"
NO_LOAD = "no cold start was seen, and the server does not say how long loading took"


def of_estimate(estimate: Estimate | None, write: Write, reason: str = NO_STAGE) -> Cell:
    """Return a value with its interval."""
    if estimate is None:
        return blank(reason)
    told = None if estimate.low is None else formatting.interval(estimate, write)
    return Cell(write(estimate.value), told)


def of_share(share: Proportion | None, reason: str = NO_ABILITY, bar: bool = False) -> Cell:
    """Return a share with its interval."""
    if share is None:
        return blank(reason)
    told = f"{share.low * 100:.0f} to {share.high * 100:.0f}"
    return Cell(formatting.percent(share.value), told, share=share.value if bar else None)


def of_percentile(quantile: int, seen: Distribution | None) -> Cell:
    """Return p50, p90, p95 or p99; where n does not allow it, blank with the n it takes."""
    if seen is None:
        return blank(NO_STAGE)
    value: float | None = getattr(seen, f"p{quantile}")
    return blank(few(quantile)) if value is None else Cell(formatting.seconds(value))


def few(quantile: int) -> str:
    """Say how many requests a percentile takes."""
    least = intervals.smallest_n(quantile / 100)
    return f"p{quantile} takes {least} requests, for its own 95 % interval to exist"


def of_value(value: float | None, write: Write, reason: str) -> Cell:
    """Return a plain value."""
    return blank(reason) if value is None else Cell(write(value))


def of_suite(score: SuiteScore | None) -> Cell:
    """Return a standard suite's score with the interval of lm-eval's own error."""
    if score is None:
        return blank("this suite was not run for this size, or gave no score")
    n = None if score.n is None else f"n = {score.n}"
    if score.stderr is None:
        return Cell(formatting.percent(score.value), n)
    reach = intervals.Z95 * score.stderr
    low, high = max(0.0, score.value - reach), min(1.0, score.value + reach)
    told = (f"{low * 100:.0f} to {high * 100:.0f}", n)
    return Cell(formatting.percent(score.value), ", ".join(part for part in told if part))


def of_memory(model_info: ModelInfo) -> Cell:
    """Return what a loaded size takes, and how much of it on GPUs."""
    if model_info.memory_bytes is None:
        return blank(NO_MEMORY)
    return Cell(
        formatting.size_of(model_info.memory_bytes), _where(model_info.memory_bytes, model_info.device_bytes)
    )


def _where(whole: int, on_device: int | None) -> str | None:
    if on_device is None:
        return None
    if on_device == 0:
        return "in main memory"
    return "on GPUs" if on_device >= whole else f"{formatting.size_of(on_device)} on GPUs"


def load_time(model: ModelResult) -> Cell:
    """Return how long loading took, and who says so."""
    if model.load_seconds is None:
        return blank(NO_LOAD)
    told = "as the server says" if model.load_source == "server" else "cold start seen"
    return Cell(formatting.seconds(model.load_seconds), told)


def of_million(cost: Cost | None, interval: bool = True) -> Cell:
    """Return dollars per million tokens and at which load, with the interval where it fits."""
    if cost is None:
        return blank(NO_PRICE)
    told = formatting.per_million(cost)
    if told is None or cost.per_million_output_tokens is None:
        return blank("no throughput was measured")
    if not interval or cost.per_million_output_tokens.low is None:
        return Cell(told, formatting.at_load(cost))
    ends = formatting.interval(cost.per_million_output_tokens, formatting.dollars)
    return Cell(told, f"{ends}, {formatting.at_load(cost)}")


def described(model_info: ModelInfo) -> str | None:
    """Say what a size is: parameters, layers, data type."""
    parts = [
        f"{formatting.parameters(model_info.parameters)} parameters" if model_info.parameters else None,
        f"{model_info.layers} layers" if model_info.layers else None,
        model_info.dtype,
    ]
    return " · ".join(part for part in parts if part) or None
