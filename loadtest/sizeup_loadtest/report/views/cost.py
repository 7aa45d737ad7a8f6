"""Cost, memory and load time. Pure."""

from collections.abc import Mapping, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import per_thousand, seconds_per_correct
from sizeup_loadtest.data.results import ModelResult, Results
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Section, Table, TableRow

_NO_CORRECT = "ability was not measured, or no answer was correct"
_NO_COST = "needs a price, and at least one correct answer"


def section(results: Results) -> Section:
    return Section(
        "cost",
        "Cost, memory, load time",
        "Cost",
        "Cost of tokens is the price per hour over the highest throughput measured within the SLO;"
        " ≤ where that was the largest load tried, so that higher concurrency may be cheaper. Cost"
        f" of correct answers is the price of all questions{_concurrency(results.config)}, wrong"
        " answers included.",
        (_table(results.models),),
    )


def _concurrency(config: Mapping[str, object]) -> str:
    ability = config.get("ability")
    concurrency = ability.get("concurrency") if isinstance(ability, Mapping) else None
    return f" at concurrency {concurrency}" if isinstance(concurrency, int) else ""


def _table(models: Sequence[ModelResult]) -> Table:
    heads = (
        "Model", "Price|per hour", "Cost|per M output tokens", "Cost|per 1,000 correct answers",
        "Correct answer|mean time", "Weights|file size", "Memory", "Load time",
    )  # fmt: skip
    found = tuple(_row(i, model) for i, model in enumerate(models))
    return Table(heads, found, "Cost, memory, load time")


def _row(i: int, model: ModelResult) -> TableRow:
    cost, info = model.cost, model.model_info
    no_size = "the server does not report the size of the weights"
    price = cost.price_per_hour if cost else None
    return TableRow(
        model.name,
        (
            cells.plain(price, formatting.dollars, cells.NO_PRICE),
            cells.cost_per_million(cost),
            cells.estimate(per_thousand(cost), formatting.dollars, _NO_COST),
            cells.plain(seconds_per_correct(model.ability), formatting.seconds, _NO_CORRECT),
            cells.plain(info.weight_bytes, formatting.size_of, no_size),
            cells.memory(info),
            cells.load_time(model),
        ),
        class_=f"s{i}",
    )
