"""Latency of a single user by model, and how much of it is overhead. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Results, StageResult
from sizeup_loadtest.report import text
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Cell, Section, Table, TableRow, blank

_NO_BOUND = (
    "no bandwidth in the config (models[].bandwidth_gb_s), or a mixture of experts, where the"
    " number of weights read per token is unknown"
)
_NO_LAYERS = "the server does not report the number of layers"


def section(results: Results) -> Section | None:
    models = results.models
    if not any(model.stages for model in models):
        return None
    load, layers = text.lightest_load(models), ""
    if any(model.model_info.layers for model in models):
        layers = " Equal time per layer for every model means that software overhead dominates."
    return Section(
        "speed",
        "Latency by model",
        "Latency",
        f"{load[0].upper()}{load[1:]}; means with 95 % intervals over blocks.{layers}",
        (_means(models),),
    )


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
    staged = [(i, model, stage) for i, model in enumerate(models) for stage in _lightest(model)]
    longest = tuple(
        max((mean.value for *_, stage in staged if (mean := _mean(stage, metric))), default=1.0)
        for metric in ("ttft", "tpot")
    )
    found = tuple(_row(i, model, stage, longest) for i, model, stage in staged)
    return Table(heads, found, "Means").filled()


def _lightest(model: ModelResult) -> list[StageResult | None]:
    """Return the lightest stage of each output length; one blank row without any."""
    stages = [lightest_stage(model, length) for length in ("fixed", "until_eos")]
    return [stage for stage in stages if stage is not None] or [None]


def _timed(mean: Estimate | None, longest: float) -> Cell:
    """Return a time with a bar beside those of the other models."""
    share = mean.value / longest if mean and longest else None
    return replace(cells.estimate(mean, formatting.seconds), bar=share)


def _row(
    i: int, model: ModelResult, stage: StageResult | None, longest: tuple[float, ...]
) -> TableRow:
    no_layers = cells.NO_STAGE if stage is None else _NO_LAYERS
    number, estimate = formatting.number, cells.estimate
    no_count = "the server does not count prompt tokens"
    return TableRow(
        model.name,
        (
            _timed(_mean(stage, "ttft"), longest[0]),
            _timed(_mean(stage, "tpot"), longest[1]),
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


def _mean(stage: StageResult | None, metric: Literal["ttft", "tpot"]) -> Estimate | None:
    seen: Distribution | None = getattr(stage, metric) if stage else None
    return seen.mean if seen else None


def _of_bound(model: ModelResult, stage: StageResult | None) -> Cell:
    if stage is None or stage.tok_s_user is None:
        return blank(cells.NO_STAGE)
    if not model.bound_tok_s:
        return blank(_NO_BOUND)
    fraction = stage.tok_s_user.value / model.bound_tok_s
    return Cell(formatting.percent(fraction), f"of {formatting.number(model.bound_tok_s)}")
