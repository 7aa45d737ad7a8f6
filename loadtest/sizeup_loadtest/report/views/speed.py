"""Latency of a single user by model, and how much of it is overhead. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, ModelResult, Results, StageResult
from sizeup_loadtest.report import text
from sizeup_loadtest.report.views import blocks, cells
from sizeup_loadtest.report.views.blocks import Cell, Section, Table, blank

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
        f"{load[0].upper()}{load[1:]}; means with 95 % intervals over blocks.{layers}",
        (_means(models),),
        short="Latency",
    )


class _Measured(NamedTuple):
    model: ModelResult
    stage: StageResult


def _means(models: Sequence[ModelResult]) -> Table | None:
    """Return the means of every model's lightest stages, without columns that are all blank."""
    rows = [row for i, model in enumerate(models) for row in _lightest(i, model)]
    staged = [seen for _, seen in rows if seen is not None]
    columns: blocks.Columns[_Measured] = {
        "TTFT|mean": lambda seen: _timed("ttft", seen, staged),
        "TPOT|mean": lambda seen: _timed("tpot", seen, staged),
        "Tokens/s|per user": lambda seen: cells.estimate(seen.stage.tok_s_user, formatting.number),
        "Per layer|mean": _per_layer,
        "Of bandwidth bound|tokens/s": _of_bound,
        "Output|tokens": lambda seen: cells.estimate(
            seen.stage.completion_tokens, formatting.number
        ),
        "Prompt|tokens": lambda seen: cells.estimate(
            seen.stage.prompt_tokens, formatting.number, "the server does not count prompt tokens"
        ),
        "Requests": lambda seen: Cell(str(seen.stage.n)),
    }
    filled = {
        head: cell
        for head, cell in columns.items()
        if any(cell(seen).text is not None for seen in staged)
    }
    return blocks.table("Model|stage", filled, rows, "Means", cells.NO_STAGE)


def _lightest(i: int, model: ModelResult) -> Sequence[tuple[blocks.TableRow, _Measured | None]]:
    """Return the lightest stage of each output length; one blank row without any."""
    stages = [lightest_stage(model, length) for length in ("fixed", "until_eos")]
    rows = [
        (blocks.of_model(i, model, text.stage_name(stage)), _Measured(model, stage))
        for stage in stages
        if stage is not None
    ]
    return rows or [(blocks.of_model(i, model), None)]


def _timed(metric: Literal["ttft", "tpot"], seen: _Measured, staged: Sequence[_Measured]) -> Cell:
    """Return a mean time with a bar beside those of the other models."""
    own: Distribution | None = getattr(seen.stage, metric)
    if own is None:
        return blank(cells.NO_STAGE)
    longest = max(found.mean.value for one in staged if (found := getattr(one.stage, metric)))
    share = own.mean.value / longest if longest else None
    return replace(cells.estimate(own.mean, formatting.seconds), bar=share)


def _per_layer(seen: _Measured) -> Cell:
    layers, pace = seen.model.model_info.layers, seen.stage.tpot
    share = pace.mean.map(lambda value: value / layers) if pace and layers else None
    return cells.estimate(share, formatting.milliseconds, _NO_LAYERS)


def _of_bound(seen: _Measured) -> Cell:
    rate, bound = seen.stage.tok_s_user, seen.model.bound_tok_s
    if rate is None or not bound:
        return blank(cells.NO_STAGE if rate is None else _NO_BOUND)
    return Cell(formatting.percent(rate.value / bound), f"of {formatting.number(bound)}")
