"""Table cells that several sections share. Pure."""

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.data.results import (
    Cost,
    Distribution,
    Estimate,
    ModelInfo,
    ModelResult,
    Proportion,
    StageResult,
)
from sizeup_loadtest.report import text
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
    return Cell(write(value.value), text.interval(value, write))


def proportion(value: Proportion | None, reason: str = NO_ABILITY, bar: bool = False) -> Cell:
    if value is None:
        return blank(reason)
    ends = text.interval(value, formatting.whole_percent)
    return Cell(formatting.percent(value.value), ends, bar=value.value if bar else None)


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
    return blank(text.min_requests(point)) if value is None else Cell(formatting.seconds(value))


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
        ends = text.interval(seen, formatting.whole_percent)
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


def cost_per_million(cost: Cost | None) -> Cell:
    """Return dollars per million tokens, and the load they were measured at."""
    if cost is None:
        return blank(NO_PRICE)
    dollars = text.cost_per_million(cost)
    if dollars is None or cost.per_million_output_tokens is None:
        return blank("no throughput was measured")
    ends = text.interval(cost.per_million_output_tokens, formatting.dollars)
    return Cell(dollars, _joined("per M tokens", ends, text.cost_load(cost)))


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
