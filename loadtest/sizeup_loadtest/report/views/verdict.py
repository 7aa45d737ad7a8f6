"""The top of the page: the recommended model, and every model at a glance. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import per_thousand, seconds_per_correct
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Estimate, ModelResult, RequirementCheck, Results
from sizeup_loadtest.report import text
from sizeup_loadtest.report.charts import ability_speed
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import Cell, Figure, Section, Table, TableRow, blank

_HEADS = (
    "Model", "Requirements", "Ability|correct", "Speed|tok/s/user", "TTFT|p50",
    "E2E latency|mean", "Max load|within SLO", "Cost|per M tokens", "Correct answer|mean time",
    "Memory", "Load time",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The next smaller or larger model, compared with the recommended one."""

    step: str
    name: str
    difference: str


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict; `before` and `after` are the sentence around the name of the model."""

    before: str
    recommended: str | None
    after: str
    neighbours: tuple[Neighbour, ...]
    min_ability: str
    """Percent."""
    min_speed: str
    """Tokens/s."""
    table: Table


def view(results: Results) -> VerdictView:
    verdict = results.verdict
    sentence = _unbroken(verdict.sentence if verdict else "No verdict.")
    name = verdict.smallest if verdict else None
    before, found, after = sentence.partition(f" is {name}.")
    requirements = verdict.requirements if verdict else None
    ability = (requirements.ability if requirements else None) or 0.0
    speed = (requirements.tok_s_user if requirements else None) or 0.0
    return VerdictView(
        before=f"{before} is " if found else sentence,
        recommended=name if found else None,
        after=f".{after}" if found else "",
        neighbours=_neighbours(results),
        min_ability=f"{ability * 100:g}",
        min_speed=f"{speed:g}",
        table=_table(results),
    )


def _unbroken(sentence: str) -> str:
    """Use no-break spaces around comparisons and before percent signs."""
    for part in (" ≥ ", " ≤ ", " < ", " > ", " %"):
        sentence = sentence.replace(part, part.replace(" ", "\u00a0"))
    return sentence


def _neighbours(results: Results) -> tuple[Neighbour, ...]:
    names = [m.name for m in results.models]
    if results.verdict is None or results.verdict.smallest not in names:
        return ()
    i = names.index(results.verdict.smallest)
    return tuple(
        Neighbour(word, names[i + step], _difference(results.models[i], results.models[i + step]))
        for step, word in ((-1, "One size down"), (1, "One size up"))
        if 0 <= i + step < len(names)
    )


def _difference(chosen: ModelResult, other: ModelResult) -> str:
    if other.invalid_reason is not None:
        return "invalid"
    parts = []
    if chosen.ability and other.ability:
        points = (other.ability.overall.value - chosen.ability.overall.value) * 100
        parts.append(f"{points:+.0f} points of ability".replace("-", "−"))
    own, theirs = _speed(chosen), _speed(other)
    if own and theirs:
        ratio = theirs.value / own.value
        direction = "faster" if ratio >= 1 else "slower"
        parts.append(f"{formatting.times(max(ratio, 1 / ratio))} {direction} per token")
    own_cost = chosen.cost.per_million_output_tokens if chosen.cost else None
    their_cost = other.cost.per_million_output_tokens if other.cost else None
    if own_cost and their_cost and own_cost.value:
        parts.append(f"{their_cost.value / own_cost.value:.2g} × the cost per token")
    return ", ".join(parts) or "not measured"


def _speed(model: ModelResult) -> Estimate | None:
    stage = lightest_stage(model)
    return stage.tok_s_user if stage else None


def _table(results: Results) -> Table:
    checks = text.checks(results.verdict)
    chosen = results.verdict.smallest if results.verdict else None
    fastest = max((e.value for m in results.models if (e := _speed(m))), default=0.0)
    rows = tuple(
        _row(i, model, checks.get(model.name), model.name == chosen, fastest)
        for i, model in enumerate(results.models)
    )
    return Table(_HEADS, rows, "Every model at a glance, smallest first", "glance")


def _row(
    i: int, model: ModelResult, check: RequirementCheck | None, chosen: bool, fastest: float
) -> TableRow:
    stage = lightest_stage(model)
    until_eos = lightest_stage(model, "until_eos") or stage
    e2e = until_eos.e2e.mean if until_eos and until_eos.e2e else None
    speed, ability = _speed(model), model.ability
    data = {
        "ability": ability.overall.value if ability else None,
        "speed": speed.value if speed else None,
        "invalid": None if model.invalid_reason is None else 1.0,
    }
    return TableRow(
        model.name,
        (
            _requirements_cell(check),
            cells.proportion(ability.overall if ability else None, bar=True),
            _speed_cell(speed, fastest),
            cells.percentile(50, stage.ttft if stage else None),
            cells.estimate(e2e, formatting.seconds),
            _max_load(model),
            cells.cost_per_million(model.cost, interval=False),
            _correct_answer(model),
            cells.memory(model.model_info),
            cells.load_time(model),
        ),
        class_=f"s{i} chosen" if chosen else f"s{i}",
        detail=cells.described(model.model_info),
        data=tuple((key, value) for key, value in data.items() if value is not None),
    )


def _speed_cell(speed: Estimate | None, fastest: float) -> Cell:
    cell = cells.estimate(speed, formatting.number)
    return cell if speed is None or not fastest else replace(cell, bar=speed.value / fastest)


def _requirements_cell(check: RequirementCheck | None) -> Cell:
    if check is None:
        return blank("no requirements in the config (requirements)")
    if check.passes is None:
        return Cell("? unknown", "; ".join(check.misses))
    return Cell("✓ met") if check.passes else Cell("✗ not met", _unbroken("; ".join(check.misses)))


def _max_load(model: ModelResult) -> Cell:
    capacity = model.capacity
    if capacity is None:
        return blank(cells.NO_CAPACITY)
    unit = "concurrent" if capacity.mode == "closed" else "requests/s"
    return Cell(text.max_load(capacity), "no load tried" if capacity.max_load is None else unit)


def _correct_answer(model: ModelResult) -> Cell:
    reason = cells.NO_ABILITY if model.ability is None else "no answer was correct"
    cell = cells.plain(seconds_per_correct(model.ability), formatting.seconds, reason)
    thousand = per_thousand(model.cost)
    if cell.text is None or thousand is None:
        return cell
    return replace(cell, note=f"{formatting.dollars(thousand.value)} per 1,000")


def picture(results: Results) -> Section:
    """The chart of ability against speed."""
    chart = ability_speed.draw(results.models, results.verdict)
    priced = any(m.cost and m.cost.per_million_output_tokens for m in results.models)
    area = (
        "Disc area is the cost per million tokens."
        if priced
        else "Without prices, discs are hollow and equally large."
    )
    return Section(
        "picture",
        "Ability, speed and cost",
        "Ability and speed",
        f"Up is more accurate, right is faster. {area}",
        (Figure(chart, _why_no_picture(results.models), "Error bars are 95 % intervals."),),
    )


def _why_no_picture(models: Sequence[ModelResult]) -> str:
    if not any(m.ability for m in models):
        return cells.NO_ABILITY
    return "no model has both ability and speed"
