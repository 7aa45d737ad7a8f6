"""What a size costs: money, memory, and the wait until it can answer."""

from collections.abc import Callable, Mapping, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import per_thousand, seconds_per_correct
from sizeup_loadtest.data.results import Estimate, ModelResult, Results
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.charts.axes import Write
from sizeup_loadtest.report.markup import Markup, join
from sizeup_loadtest.report.sections import ConfigSection, cells, figure, grid
from sizeup_loadtest.report.tables import Row, table

_NO_WAIT = "ability was not measured, or no answer was right"
_NO_RIGHT = "needs a price, and at least one right answer"


def section(results: Results) -> ConfigSection:
    """Return cost per token and per right answer, memory and load time."""
    models = results.models
    charts = grid(
        _chart(models, _per_million, "cost", "Cost of a million tokens", formatting.dollars),
        _chart(models, _per_right, "cost-right", "Cost of 1,000 right answers", formatting.dollars),
        _chart(models, _wait, "wait-right", "Wait for a right answer", formatting.seconds),
        _chart(models, _memory, "memory", "Memory", formatting.size_of),
        _chart(models, _load, "start", "Load", formatting.seconds),
    )
    return ConfigSection(
        "money",
        "Money, memory, load time",
        "Cost",
        "The cost of tokens is the price per hour over the highest throughput measured within the"
        " objective; ≤ where that was the largest load tried, so that more users at once may be"
        f" cheaper. {_at_a_time(results.config)} wrong ones were paid for too.",
        join((charts, _table(models))),
    )


def _at_a_time(config: Mapping[str, object]) -> str:
    asked = config.get("ability")
    many = asked.get("concurrency") if isinstance(asked, Mapping) else None
    told = f", {many} at a time" if isinstance(many, int) else ""
    return f"The cost of right answers is that of the time all questions took{told}:"


def _per_million(model: ModelResult) -> Estimate | None:
    return model.cost.per_million_output_tokens if model.cost else None


def _per_right(model: ModelResult) -> Estimate | None:
    return per_thousand(model.cost)


def _wait(model: ModelResult) -> Estimate | None:
    return _plain(seconds_per_correct(model.ability))


def _memory(model: ModelResult) -> Estimate | None:
    return _plain(model.model_info.memory_bytes)


def _load(model: ModelResult) -> Estimate | None:
    return _plain(model.load_seconds)


def _plain(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value=value)


_TICKS: dict[Write, Write] = {
    formatting.dollars: formatting.dollars_tick,
    formatting.seconds: formatting.seconds_tick,
    formatting.size_of: formatting.size_tick,
}
_WHY = {
    "cost": cells.NO_PRICE,
    "cost-right": _NO_RIGHT,
    "wait-right": _NO_WAIT,
    "memory": cells.NO_MEMORY,
    "start": cells.NO_LOAD,
}


def _chart(
    models: Sequence[ModelResult],
    figure_of: Callable[[ModelResult], Estimate | None],
    key: str,
    title: str,
    write: Write,
) -> Markup:
    look = rows.Look(key, title, write, _TICKS[write])
    found = []
    for i, model in enumerate(models):
        seen = figure_of(model)
        ends = (seen.value, seen.low, seen.high) if seen else (None, None, None)
        found.append(rows.Row(model.name, f"s{i}", *ends))
    return figure(rows.draw(found, look), f"{title.lower()}: {_WHY[key]}")


def _table(models: Sequence[ModelResult]) -> Markup:
    heads = (
        "Size", "Price|per hour", "Cost|per M output tokens", "Right answers|cost of 1,000",
        "Right answer|wait", "Weights|of the files", "Memory", "Load",
    )  # fmt: skip
    return table(heads, [_row(i, m) for i, m in enumerate(models)], "Cost, memory, load time")


def _row(i: int, model: ModelResult) -> Row:
    cost = model.cost
    of = cells.of_value
    return Row(
        model.name,
        (
            of(cost.price_per_hour if cost else None, formatting.dollars, cells.NO_PRICE),
            cells.of_million(cost),
            cells.of_estimate(per_thousand(cost), formatting.dollars, _NO_RIGHT),
            of(seconds_per_correct(model.ability), formatting.seconds, _NO_WAIT),
            of(
                model.model_info.weight_bytes,
                formatting.size_of,
                "the server does not say its weights' size",
            ),
            cells.of_memory(model.model_info),
            cells.load_time(model),
        ),
        class_=f"s{i}",
    )
