"""Latency of a single user by model, and how much of it is overhead. Pure."""

from collections.abc import Callable, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Results, StageResult
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.charts.rows import BarRow, RowChart
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Figure,
    Grid,
    Section,
    Table,
    TableRow,
    blank,
)

_NO_BOUND = (
    "no bandwidth in the config (models[].bandwidth_gb_s), or a mixture of experts, where the"
    " number of weights read per token is unknown"
)
_MAX_BOUND_RATIO = 20
"""TPOT over its bound, above which the tick would compress the axis."""
_NO_LAYERS = "the server does not report the number of layers"


def section(results: Results) -> Section | None:
    models = results.models
    if not any(model.stages for model in models):
        return None
    tpot = [_timed(i, m, "tpot") for i, m in enumerate(models)]
    lead = f"{_load(models)}; means with 95 % intervals over blocks. "
    if any(row.bound for row in tpot):
        lead += "The vertical tick is the bound by memory bandwidth. "
    lead += "Equal time per layer for every model means that software overhead dominates."
    drawn = (
        rows.draw([_timed(i, m, "ttft") for i, m in enumerate(models)], _TTFT),
        rows.draw(tpot, _TPOT),
        rows.draw([_layered(i, m) for i, m in enumerate(models)], _LAYERS),
    )
    charts = Grid(tuple(Figure(one) for one in drawn if one is not None))
    return Section(
        "speed",
        "Latency by model",
        "Latency",
        lead,
        (charts, _means(models)),
    )


_SECONDS = (formatting.seconds, formatting.seconds_tick)
_TTFT = RowChart("ttft", "Time to first token", *_SECONDS)
_TPOT = RowChart("tpot", "Time per output token", *_SECONDS)
_LAYERS = RowChart(
    "layer",
    "Time per output token and layer",
    formatting.milliseconds,
    formatting.milliseconds_tick,
)


def _load(models: Sequence[ModelResult]) -> str:
    load = text.lightest_load(models)
    return load[0].upper() + load[1:]


def _timed(i: int, model: ModelResult, metric: str) -> BarRow:
    stage = lightest_stage(model)
    seen = (stage.ttft if metric == "ttft" else stage.tpot) if stage else None
    if seen is None:
        return BarRow(model.name, f"s{i}", None)
    mean = seen.mean
    bound = _bound(model, mean.value) if metric == "tpot" else None
    return BarRow(model.name, f"s{i}", mean.value, mean.low, mean.high, bound)


def _bound(model: ModelResult, seconds: float) -> float | None:
    """Return the lower bound of TPOT, where an axis can show both."""
    if not model.bound_tok_s or seconds * model.bound_tok_s > _MAX_BOUND_RATIO:
        return None
    return 1 / model.bound_tok_s


def _layered(i: int, model: ModelResult) -> BarRow:
    each = _per_layer(model, lightest_stage(model))
    if each is None:
        note = "not measured" if model.model_info.layers else "layers unknown"
        return BarRow(model.name, f"s{i}", None, note=note)
    return BarRow(model.name, f"s{i}", each.value, each.low, each.high)


def _per_layer(model: ModelResult, stage: StageResult | None) -> Estimate | None:
    layers = model.model_info.layers
    if stage is None or stage.tpot is None or not layers:
        return None
    mean = stage.tpot.mean
    low, high = (None if end is None else end / layers for end in (mean.low, mean.high))
    return Estimate(value=mean.value / layers, low=low, high=high)


def _means(models: Sequence[ModelResult]) -> Table:
    heads = (
        "Model|stage", "TTFT|mean", "TPOT|mean", "Tokens/s|per user", "Per layer|mean",
        "Of bandwidth bound|tokens/s", "Output|tokens", "Prompt|tokens", "Requests",
    )  # fmt: skip
    found = (_row(i, model, stage) for i, model in enumerate(models) for stage in _lightest(model))
    return Table(heads, tuple(found), f"{_load(models)}: means")


def _lightest(model: ModelResult) -> list[StageResult | None]:
    """Return the lightest stage of each output length; one blank row without any."""
    stages = [lightest_stage(model, length) for length in ("fixed", "until_eos")]
    return [stage for stage in stages if stage is not None] or [None]


def _row(i: int, model: ModelResult, stage: StageResult | None) -> TableRow:
    no_layers = cells.NO_STAGE if stage is None else _NO_LAYERS
    number, seconds, estimate = formatting.number, formatting.seconds, cells.estimate
    no_count = "the server does not count prompt tokens"
    return TableRow(
        model.name,
        (
            estimate(_mean(stage, lambda s: s.ttft), seconds),
            estimate(_mean(stage, lambda s: s.tpot), seconds),
            estimate(stage.tok_s_user if stage else None, number),
            estimate(_per_layer(model, stage), formatting.milliseconds, no_layers),
            _of_bound(model, stage),
            estimate(stage.completion_tokens if stage else None, number),
            estimate(stage.prompt_tokens if stage else None, number, no_count),
            Cell(str(stage.n)) if stage else blank(cells.NO_STAGE),
        ),
        class_=f"s{i}",
        detail=text.stage_name(stage) if stage else None,
    )


def _mean(
    stage: StageResult | None, metric: Callable[[StageResult], Distribution | None]
) -> Estimate | None:
    seen = metric(stage) if stage else None
    return seen.mean if seen else None


def _of_bound(model: ModelResult, stage: StageResult | None) -> Cell:
    if stage is None or stage.tok_s_user is None:
        return blank(cells.NO_STAGE)
    if not model.bound_tok_s:
        return blank(_NO_BOUND)
    fraction = stage.tok_s_user.value / model.bound_tok_s
    return Cell(formatting.percent(fraction), f"of {formatting.number(model.bound_tok_s)}")
