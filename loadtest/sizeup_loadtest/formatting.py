"""Numbers as people write them: three digits that mean something, and a unit."""

import math
from collections.abc import Sequence

from sizeup_loadtest.analysis.selection import alone
from sizeup_loadtest.data.results import (
    CapacityResult,
    Cost,
    Estimate,
    ModelResult,
    Proportion,
    StageResult,
)

NONE = "–"


def number(value: float) -> str:
    """Write three significant digits, with commas in thousands."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, places):,.{places}f}"


def tick(value: float) -> str:
    """Write a round value without digits it does not need."""
    return f"{value:,.10g}"


def _scaled(value: float, units: tuple[tuple[float, str], ...], write: object = number) -> str:
    writer = tick if write is tick else number
    for size, unit in units:
        if abs(value) >= size * 0.9995:
            return f"{writer(value / size)} {unit}"
    size, unit = units[-1]
    return f"{writer(value / size)} {unit}"


_SECONDS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_COUNTS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def seconds(value: float) -> str:
    """Write a duration: 184 ms, 1.24 s, 3.5 min."""
    return "0 s" if value == 0 else _scaled(value, _SECONDS)


def seconds_tick(value: float) -> str:
    """Write a duration for an axis."""
    return "0" if value == 0 else _scaled(value, _SECONDS, tick)


def size_of(value: float) -> str:
    """Write bytes by powers of ten."""
    return _scaled(value, _BYTES)


def size_tick(value: float) -> str:
    """Write bytes for an axis."""
    return "0" if value == 0 else _scaled(value, _BYTES, tick)


def parameters(value: float) -> str:
    """Write how many parameters: 494 M, 7.62 B."""
    return _scaled(value, _COUNTS)


def percent(value: float) -> str:
    """Write a share: whole percents, and tenths near the ends where they matter."""
    near_end = 0 < value < 0.0995 or 0.995 <= value < 1
    return f"{value * 100:.{1 if near_end else 0}f} %"


def dollars(value: float) -> str:
    """Write money: cents and below by significant digits."""
    if value == 0:
        return "$0"
    return (
        f"${value:,.2f}" if value >= 0.1 else f"${value:.2g}" if value >= 1e-4 else f"${value:.1e}"
    )


def dollars_tick(value: float) -> str:
    """Write money for an axis."""
    return f"${tick(value)}"


def milliseconds(value: float) -> str:
    """Write seconds as milliseconds, however few: for figures that are compared in them."""
    return f"{number(value * 1e3)} ms"


def milliseconds_tick(value: float) -> str:
    """Write seconds as milliseconds for an axis."""
    return "0" if value == 0 else f"{tick(value * 1e3)} ms"


def times(value: float) -> str:
    """Write a ratio."""
    return f"{number(value)} ×"


def lightest(models: Sequence[ModelResult], length: str | None = None) -> str:
    """Name the loads that stand for one user: more than one request where none was asked alone."""
    stages = (alone(model, length) for model in models)
    named = dict.fromkeys(_load(stage) for stage in stages if stage is not None)
    return " or ".join(named) or "the lightest load"


def _load(stage: StageResult) -> str:
    if stage.mode == "open":
        return f"{tick(stage.level)} requests/s"
    return "one request at a time" if stage.level == 1 else f"{tick(stage.level)} at a time"


def carries(capacity: CapacityResult | None) -> str | None:
    """Write the largest load within the objective; None where none was searched."""
    if capacity is None:
        return None
    if capacity.largest is None:
        return "none"
    more = capacity.bounded_by_limit or capacity.client_late or not capacity.finished
    return f"{'≥ ' if more else ''}{tick(capacity.largest)}"


def per_million(cost: Cost | None) -> str | None:
    """Write dollars per million tokens, marked where a larger load may be cheaper."""
    if cost is None or cost.per_million_output_tokens is None:
        return None
    return f"{'≤ ' if cost.upper_bound else ''}{dollars(cost.per_million_output_tokens.value)}"


def at_load(cost: Cost) -> str | None:
    """Say which load a cost is of, and when it is one that missed the objective."""
    if cost.at_level is None:
        return None
    return (
        f"at load {tick(cost.at_level)}{', beyond the objective' if cost.within is False else ''}"
    )


def interval(estimate: Estimate, write: object = number) -> str:
    """Write an estimate's interval, or why there is none."""
    writer = write if callable(write) else number
    if estimate.low is None or estimate.high is None:
        return "no interval: fewer than 5 blocks"
    low, high = writer(estimate.low), writer(estimate.high)
    bare, _, unit = low.rpartition(" ")
    return f"{bare} to {high}" if bare and high.endswith(f" {unit}") else f"{low} to {high}"


def share(proportion: Proportion) -> str:
    """Write a share with its interval in percent."""
    low, high = proportion.low * 100, proportion.high * 100
    return f"{percent(proportion.value)} ({low:.0f} to {high:.0f})"
