"""How fast a size is for one user, and how much of that is size and how much is overhead."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Distribution, Estimate, ModelResult, Results, StageResult
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, cells, figure, grid
from sizeup_loadtest.report.tables import Cell, Row, blank, table

_NO_BOUND = (
    "no bandwidth in the config (models[].bandwidth_gb_s), or how many weights a token reads is"
    " unknown (a mixture of experts)"
)
_FAR = 20
"""A bound so many times below what was measured says little, and would crush the axis."""
_NO_LAYERS = "the server does not say how many layers"


def section(results: Results) -> ConfigSection:
    """Return first token, time per token, time per layer and the bound, by size."""
    models = results.models
    lead = f"{_loads(models)}; means with 95 % intervals over blocks. "
    if any(row.bound for row in _paces(models)):
        lead += "The upright tick is the bandwidth bound: weights cannot be read faster. "
    lead += (
        "Where time per layer is the same for every size, the software's own overhead is measured"
        " and not the size."
    )
    charts = grid(
        figure(_first(models), cells.NO_STAGE),
        figure(_pace(models), cells.NO_STAGE),
        figure(_layer(models), _NO_LAYERS),
    )
    body = join((charts, _means(models), _percentiles(models)))
    return ConfigSection("speed", "Speed by size", "Speed", lead, body)


def _loads(models: Sequence[ModelResult]) -> str:
    """Begin a sentence with the loads that stand for one user."""
    said = formatting.lightest(models)
    return said[0].upper() + said[1:]


def _first(models: Sequence[ModelResult]) -> Markup | None:
    look = rows.Look("ttft", "Time to first token", formatting.seconds, formatting.seconds_tick)
    return rows.draw([_timed(i, m, "ttft") for i, m in enumerate(models)], look)


def _pace(models: Sequence[ModelResult]) -> Markup | None:
    look = rows.Look("tpot", "Time per output token", formatting.seconds, formatting.seconds_tick)
    return rows.draw(_paces(models), look)


def _paces(models: Sequence[ModelResult]) -> list[rows.Row]:
    return [_timed(i, m, "tpot") for i, m in enumerate(models)]


def _timed(i: int, model: ModelResult, name: str) -> rows.Row:
    stage = lightest_stage(model)
    seen = (stage.ttft if name == "ttft" else stage.tpot) if stage else None
    if seen is None:
        return rows.Row(model.name, f"s{i}", None)
    mean = seen.mean
    bound = _bound(model, mean.value) if name == "tpot" else None
    return rows.Row(model.name, f"s{i}", mean.value, mean.low, mean.high, bound)


def _bound(model: ModelResult, seconds: float) -> float | None:
    """Return the least seconds per token, where an axis can show them beside those measured."""
    if not model.bound_tok_s or seconds * model.bound_tok_s > _FAR:
        return None
    return 1 / model.bound_tok_s


def _layer(models: Sequence[ModelResult]) -> Markup | None:
    title = "Time per output token and layer"
    look = rows.Look("layer", title, formatting.milliseconds, formatting.milliseconds_tick)
    return rows.draw([_layered(i, m) for i, m in enumerate(models)], look)


def _layered(i: int, model: ModelResult) -> rows.Row:
    each = _per_layer(model, lightest_stage(model))
    if each is None:
        note = "not measured" if model.model_info.layers else "layers not known"
        return rows.Row(model.name, f"s{i}", None, note=note)
    return rows.Row(model.name, f"s{i}", each.value, each.low, each.high)


def _per_layer(model: ModelResult, stage: StageResult | None) -> Estimate | None:
    """Divide the mean time per token by the layers it goes through."""
    layers = model.model_info.layers
    if stage is None or stage.tpot is None or not layers:
        return None
    mean = stage.tpot.mean
    low, high = (None if end is None else end / layers for end in (mean.low, mean.high))
    return Estimate(value=mean.value / layers, low=low, high=high)


def _means(models: Sequence[ModelResult]) -> Markup:
    heads = (
        "Size|stage", "First token|mean", "Per token|mean", "Tokens/s|one user",
        "Per layer|mean", "Of the bound|tokens/s", "Answer|tokens",
        "Prompt|tokens", "Requests",
    )  # fmt: skip
    found = [_row(i, model, stage) for i, model in enumerate(models) for stage in _lone(model)]
    return table(heads, found, f"{_loads(models)}: means")


def _lone(model: ModelResult) -> list[StageResult | None]:
    """Return the least load of each length; one blank row where nothing was measured."""
    found = [lightest_stage(model, length) for length in ("fixed", "until_eos")]
    return [stage for stage in found if stage is not None] or [None]


def _row(i: int, model: ModelResult, stage: StageResult | None) -> Row:
    layer = _per_layer(model, stage)
    no_layer = cells.NO_STAGE if stage is None else _NO_LAYERS
    of = cells.of_estimate
    return Row(
        model.name,
        (
            of(_mean(stage.ttft if stage else None), formatting.seconds),
            of(_mean(stage.tpot if stage else None), formatting.seconds),
            of(stage.tok_s_user if stage else None, formatting.number),
            of(layer, formatting.milliseconds, no_layer),
            _of_bound(model, stage),
            of(stage.completion_tokens if stage else None, formatting.number),
            of(
                stage.prompt_tokens if stage else None,
                formatting.number,
                "the server did not count",
            ),
            Cell(str(stage.n)) if stage else blank(cells.NO_STAGE),
        ),
        class_=f"s{i}",
        detail=stage.stage if stage else None,
    )


def _mean(seen: Distribution | None) -> Estimate | None:
    return seen.mean if seen else None


def _of_bound(model: ModelResult, stage: StageResult | None) -> Cell:
    if stage is None or stage.tok_s_user is None:
        return blank(cells.NO_STAGE)
    if not model.bound_tok_s:
        return blank(_NO_BOUND)
    share = stage.tok_s_user.value / model.bound_tok_s
    return Cell(formatting.percent(share), f"of {formatting.number(model.bound_tok_s)}")


_POINTS = (50, 90, 95, 99)


def _percentiles(models: Sequence[ModelResult]) -> Markup | None:
    """Return every percentile n allows, of every size's least load."""
    found = [
        _points(i, model, stage, title, seen)
        for i, model in enumerate(models)
        for stage in _lone(model)
        if stage is not None
        for title, seen in _distributions(stage)
    ]
    if not found:
        return None
    points = (f"p{point}" for point in _POINTS)
    heads = ("Size|stage, figure", *points, "Smallest", "Largest", "n")
    numbers = table(heads, found, f"{_loads(models)}: percentiles")
    return tag("details", tag("summary", "Percentiles"), numbers)


def _distributions(stage: StageResult) -> tuple[tuple[str, Distribution | None], ...]:
    return (
        ("first token", stage.ttft),
        ("first token from schedule", stage.ttft_sched),
        ("per token", stage.tpot),
        ("chunk gap", stage.itl),
        ("whole answer", stage.e2e),
        ("whole answer from schedule", stage.e2e_sched),
        ("whole answer per token", stage.norm_latency),
    )


def _points(
    i: int, model: ModelResult, stage: StageResult, title: str, seen: Distribution | None
) -> Row:
    if seen is None:
        told: tuple[Cell, ...] = (blank("no request gave this figure"),) * (len(_POINTS) + 3)
    else:
        ends = (seen.low, seen.high)
        told = (
            *(cells.of_percentile(point, seen) for point in _POINTS),
            *(Cell(formatting.seconds(end)) for end in ends),
            Cell(str(seen.n)),
        )
    return Row(model.name, told, class_=f"s{i}", detail=f"{stage.stage}, {title}")
