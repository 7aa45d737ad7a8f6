"""Table cells that several sections share. Pure."""

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.data.results import (
    CapacityResult,
    Cost,
    Distribution,
    Estimate,
    ModelInfo,
    ModelResult,
    Proportion,
    StageResult,
)
from sizeup_loadtest.report.text import Format
from sizeup_loadtest.report.views.blocks import Cell, blank

NO_STAGE = "no latency was measured for this model"
NO_ABILITY = "ability was not measured"
NO_CAPACITY = "capacity was not searched"
NO_SLO = "no SLO was evaluated"
NO_PRICE = "no price in the config"


def estimate(value: Estimate | None, write: Format, reason: str = NO_STAGE) -> Cell:
    if value is None:
        return blank(reason)
    return Cell(write(value.value), _interval(value, write))


def proportion(value: Proportion | None, reason: str = NO_ABILITY, bar: bool = False) -> Cell:
    if value is None:
        return blank(reason)
    ends = _interval(value, formatting.whole_percent)
    return Cell(formatting.percent(value.value), ends, bar=value.value if bar else None)


def _interval(seen: Estimate | Proportion, write: Format) -> str | None:
    """Return the interval of a measurement; None where it has none."""
    if seen.low is None or seen.high is None:
        return None
    low, high = write(seen.low), write(seen.high)
    bare, _, unit = low.rpartition(" ")
    return f"{bare} to {high}" if bare and high.endswith(f" {unit}") else f"{low} to {high}"


def attainment(stage: StageResult) -> Cell:
    """Return the attainment, or that the stage has none because it was not steady."""
    if stage.load_state in ("transient", "saturated"):
        return Cell(stage.load_state)
    return proportion(stage.attainment, NO_SLO)


def percentile(point: int, seen: Distribution | None) -> Cell:
    """Return p50, p90, p95 or p99; blank where there are too few requests."""
    if seen is None:
        return blank(NO_STAGE)
    value: float | None = getattr(seen, f"p{point}")
    least = intervals.smallest_n(point / 100)
    needs = f"p{point} needs {least} requests, for its own 95 % interval to exist"
    return plain(value, formatting.seconds, needs)


def median(seen: Distribution | None) -> Cell:
    """Return p50; of too few requests for one the mean."""
    cell = percentile(50, seen)
    if seen is None or cell.text is not None:
        return cell
    return Cell(formatting.seconds(seen.mean.value), f"mean of {seen.n}: {cell.reason}")


def plain(value: float | None, write: Format, reason: str) -> Cell:
    return blank(reason) if value is None else Cell(write(value))


def suite(score: SuiteScore | None) -> Cell:
    if score is None:
        return blank("the suite was not run for this model, or has no score")
    ends = None
    if score.stderr is not None:
        half_width = intervals.Z95 * score.stderr
        low, high = max(0.0, score.value - half_width), min(1.0, score.value + half_width)
        seen = Estimate(value=score.value, low=low, high=high)
        ends = _interval(seen, formatting.whole_percent)
    notes = (ends, None if score.n is None else f"n = {score.n}")
    return Cell(formatting.percent(score.value), _joined(*notes))


def _joined(*notes: str | None) -> str | None:
    return ", ".join(note for note in notes if note) or None


def memory(info: ModelInfo) -> Cell:
    """Return the memory of a loaded model, and where it is."""
    total, on_device = info.memory_bytes, info.device_bytes
    if total is None:
        return blank("the server does not report memory (/api/ps: size)")
    place = None if on_device is None else "in RAM"
    if on_device:
        part = "" if on_device >= total else f"{formatting.size_of(on_device)} "
        place = f"{part}on GPUs"
    return Cell(formatting.size_of(total), place)


def load_time(model: ModelResult) -> Cell:
    if model.load_seconds is None:
        return blank("no cold start was measured, and the server does not report a load time")
    source = "by the server" if model.load_source == "server" else "cold start"
    return Cell(formatting.seconds(model.load_seconds), source)


def max_load(capacity: CapacityResult | None, reason: str = NO_CAPACITY) -> Cell:
    """Return the maximum load within the SLO, and why it is a lower bound: ≥ 64 users."""
    if capacity is None:
        return blank(reason)
    if capacity.max_load is None:
        return Cell("no load")
    note = "the limit of the search" if capacity.bounded_by_limit else None
    if capacity.client_late:
        note = "above it the client was late"
    if not capacity.finished:
        note = "the search was not finished"
    load = formatting.load(capacity.mode, capacity.max_load)
    return Cell(f"≥ {load}" if note else load, note)


def cost_per_million(cost: Cost | None) -> Cell:
    """Return dollars per million tokens, ≤ where a larger load may be cheaper, and the load."""
    if cost is None:
        return blank(NO_PRICE)
    million, load = cost.per_million_output_tokens, None
    if million is None:
        return blank("no throughput was measured")
    if cost.at_level is not None and cost.at_mode is not None:
        outside = ", outside the SLO" if cost.within_slo is False else ""
        load = f"at {formatting.load(cost.at_mode, cost.at_level)}{outside}"
    at_most = "≤ " if cost.upper_bound else ""
    notes = _joined("per M tokens", _interval(million, formatting.dollars), load)
    return Cell(f"{at_most}{formatting.dollars(million.value)}", notes)


def described(model: ModelResult) -> str | None:
    """Return parameters, layers and dtype in one line."""
    info, source = model.model_info, model.parameters_source
    said = {"name": ", by its name", "config": ", by the config"}.get(source or "", "")
    parts = [
        f"{formatting.parameters(info.parameters)} parameters{said}" if info.parameters else None,
        f"{info.layers} layers" if info.layers else None,
        info.dtype,
    ]
    return " · ".join(part for part in parts if part) or None
