"""What a size costs: money, memory, and the wait until it can answer."""

from collections.abc import Sequence

from sizeup_loadtest.cost import seconds_per_correct
from sizeup_loadtest.report import words
from sizeup_loadtest.report.axes import Write
from sizeup_loadtest.report.charts import rows
from sizeup_loadtest.report.markup import Markup, join
from sizeup_loadtest.report.sections import Section, cells, figure, grid
from sizeup_loadtest.report.tables import Cell, Row, blank, table
from sizeup_loadtest.results import ModelResult, Results

_NO_MEMORY = "the server does not say its memory"
_NO_START = "no cold start was seen in this run"
_THOUSAND = 1000
_NO_RIGHT = "needs a price, tokens per answer, and at least one right answer"


def section(results: Results) -> Section:
    """Return cost per token and per right answer, memory and load time."""
    models = results.models
    charts = grid(
        _chart(models, _per_million(models), "cost", "Cost of a million tokens", words.dollars),
        _chart(
            models, _per_right(models), "cost-right", "Cost of 1,000 right answers", words.dollars
        ),
        _chart(models, _wait(models), "wait-right", "Wait for a right answer", words.seconds),
        _chart(models, _memory(models), "memory", "Memory on the device", words.size_of),
        _chart(models, _start(models), "start", "Cold start", words.seconds),
    )
    return Section(
        "money",
        "Money, memory, cold start",
        "Cost",
        "Cost is the price per hour over the highest throughput measured within the objective. A"
        " right answer costs what all answers cost, divided by the share that is right: wrong ones"
        " were paid for too.",
        join((charts, _table(models))),
    )


def _per_million(models: Sequence[ModelResult]) -> list[float | None]:
    return [m.cost.per_million_output_tokens if m.cost else None for m in models]


def _per_right(models: Sequence[ModelResult]) -> list[float | None]:
    """Return dollars per 1,000 right answers: of one, they are too few to read."""
    each = [m.cost.per_correct_answer if m.cost else None for m in models]
    return [None if one is None else one * _THOUSAND for one in each]


def _wait(models: Sequence[ModelResult]) -> list[float | None]:
    return [seconds_per_correct(m.ability) for m in models]


def _memory(models: Sequence[ModelResult]) -> list[float | None]:
    return [m.facts.device_bytes for m in models]


def _start(models: Sequence[ModelResult]) -> list[float | None]:
    return [m.load_seconds for m in models]


_TICKS: dict[Write, Write] = {
    words.dollars: words.dollars_tick,
    words.seconds: words.seconds_tick,
    words.size_of: words.size_tick,
}
_WHY = {
    "cost": cells.NO_PRICE,
    "cost-right": _NO_RIGHT,
    "wait-right": cells.NO_ABILITY,
    "memory": _NO_MEMORY,
    "start": _NO_START,
}


def _chart(
    models: Sequence[ModelResult],
    values: Sequence[float | None],
    key: str,
    title: str,
    write: Write,
) -> Markup:
    look = rows.Look(key, title, write, _TICKS[write])
    found = [
        rows.Row(m.name, f"s{i}", value)
        for i, (m, value) in enumerate(zip(models, values, strict=True))
    ]
    return figure(rows.draw(found, look), f"{title.lower()}: {_WHY[key]}")


def _table(models: Sequence[ModelResult]) -> Markup:
    heads = (
        "Size", "Price|per hour", "Cost|per M output tokens", "Right answers|cost of 1,000",
        "Right answer|wait", "Weights", "Memory|on the device", "Cold start",
    )  # fmt: skip
    return table(heads, [_row(i, m) for i, m in enumerate(models)], "Cost, memory, cold start")


def _row(i: int, model: ModelResult) -> Row:
    cost = model.cost
    of = cells.of_value
    return Row(
        model.name,
        (
            of(cost.price_per_hour if cost else None, words.dollars, cells.NO_PRICE),
            _million(model),
            of(_per_right([model])[0], words.dollars, _NO_RIGHT),
            of(seconds_per_correct(model.ability), words.seconds, cells.NO_ABILITY),
            of(
                model.facts.weight_bytes, words.size_of, "the server does not say its weights' size"
            ),
            of(model.facts.device_bytes, words.size_of, _NO_MEMORY),
            of(model.load_seconds, words.seconds, _NO_START),
        ),
        class_=f"s{i}",
    )


def _million(model: ModelResult) -> Cell:
    cost = model.cost
    if cost is None:
        return blank(cells.NO_PRICE)
    if cost.per_million_output_tokens is None:
        return blank("no throughput was measured")
    return Cell(words.dollars(cost.per_million_output_tokens), words.at_load(cost))
