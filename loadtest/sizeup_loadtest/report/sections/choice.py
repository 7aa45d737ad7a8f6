"""The first thing seen: which size, and the table that says so."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import per_thousand, seconds_per_correct
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Estimate, ModelResult, RequirementCheck, Results, Verdict
from sizeup_loadtest.report.charts import ability_speed
from sizeup_loadtest.report.markup import Markup, escape, tag
from sizeup_loadtest.report.sections import ConfigSection, cells, figure
from sizeup_loadtest.report.tables import Cell, Row, blank, table

_HEADS = (
    "Size",
    "Your bar",
    "Ability|share right",
    "Speed|tokens/s",
    "First token|median",
    "Answer|mean",
    "Carries|in objective",
    "Cost|per M tokens",
    "Right answer|mean wait",
    "Memory",
    "Load",
)


def hero(results: Results) -> Markup:
    """Return the answer: a sentence, the chosen size's figures, its neighbours, the table."""
    verdict = results.verdict
    sentence = verdict.sentence if verdict else "No verdict was reached."
    return tag(
        "section",
        tag("p", _emphasised(_unbroken(sentence), verdict), class_="verdict", id="sentence"),
        _chosen(results),
        _controls(verdict),
        _table(results),
        id="verdict",
        aria_label="Verdict",
    )


def _unbroken(text: str) -> str:
    """Keep comparisons and units on one line."""
    for piece in (" ≥ ", " ≤ ", " < ", " > ", " %"):
        text = text.replace(piece, piece.replace(" ", "\u00a0"))
    return text


def _emphasised(sentence: str, verdict: Verdict | None) -> Markup:
    """Set the chosen name apart; both are escaped before they are searched."""
    if verdict is None or verdict.smallest is None:
        return escape(sentence)
    before, found, after = escape(sentence).partition(f" is {escape(verdict.smallest)}.")
    if not found:
        return Markup(before)
    return Markup(f"{before} is {tag('strong', verdict.smallest)}.{after}")


def _chosen(results: Results) -> Markup | None:
    """Compare the chosen size with the next smaller and the next larger one."""
    names = [m.name for m in results.models]
    if results.verdict is None or results.verdict.smallest not in names:
        return None
    i = names.index(results.verdict.smallest)
    lines = []
    for step, word in ((-1, "One size down"), (1, "One size up")):
        if 0 <= i + step < len(names):
            told = _difference(results.models[i], results.models[i + step])
            lines.append(tag("li", f"{word}, ", tag("b", names[i + step]), f": {told}."))
    return tag("ul", *lines, class_="neighbours") if lines else None


def _difference(chosen: ModelResult, other: ModelResult) -> str:
    if other.broken is not None:
        return "broken"
    told = []
    if chosen.ability and other.ability:
        points = (other.ability.overall.value - chosen.ability.overall.value) * 100
        told.append(f"{points:+.0f} points of ability".replace("-", "−"))
    mine, theirs = _speed(chosen), _speed(other)
    if mine and theirs:
        ratio = theirs.value / mine.value
        way = "faster" if ratio >= 1 else "slower"
        told.append(f"{formatting.times(max(ratio, 1 / ratio))} {way} per token")
    mine_cost = chosen.cost.per_million_output_tokens if chosen.cost else None
    their_cost = other.cost.per_million_output_tokens if other.cost else None
    if mine_cost and their_cost and mine_cost.value:
        told.append(f"{their_cost.value / mine_cost.value:.2g} × the cost per token")
    return ", ".join(told) or "not measured"


def _speed(model: ModelResult) -> Estimate | None:
    stage = lightest_stage(model)
    return stage.tok_s_user if stage else None


def _controls(verdict: Verdict | None) -> Markup:
    """Return the movable bar, hidden until the script that reads it runs."""
    bar = verdict.bar if verdict else None
    ability = bar.ability if bar and bar.ability is not None else 0.0
    speed = bar.tok_s_user if bar and bar.tok_s_user is not None else 0.0
    return tag(
        "form",
        tag("b", "Move the bar:"),
        _field("ability at least", "ask-ability", f"{ability * 100:g}", "%", "100", "1"),
        _field("speed at least", "ask-speed", f"{speed:g}", "tokens/s", None, "any"),
        tag("output", "", id="moved", aria_live="polite"),
        id="bar",
        class_="controls",
        hidden=True,
    )


def _field(name: str, key: str, value: str, unit: str, most: str | None, step: str) -> Markup:
    entry = tag(
        "input", id=key, type="number", min="0", max=most, step=step, value=value,
        autocomplete="off",
    )  # fmt: skip
    return tag("label", name, " ", entry, " ", unit)


def _table(results: Results) -> Markup:
    checks = {c.model: c for c in results.verdict.checks} if results.verdict else {}
    chosen = results.verdict.smallest if results.verdict else None
    speeds = [e.value for m in results.models if (e := _speed(m)) is not None]
    rows = [
        _row(i, model, checks.get(model.name), model.name == chosen, max(speeds, default=0.0))
        for i, model in enumerate(results.models)
    ]
    return table(_HEADS, rows, "Every size at a glance, smallest first", "glance")


def _row(i: int, model: ModelResult, check: RequirementCheck | None, chosen: bool, fastest: float) -> Row:
    stage = lightest_stage(model)
    natural = lightest_stage(model, "until_eos") or stage
    speed = _speed(model)
    first = stage.ttft if stage else None
    ability = model.ability
    return Row(
        model.name,
        (
            _passes(check),
            cells.of_share(ability.overall if ability else None, bar=True),
            _speed_cell(speed, fastest),
            cells.of_percentile(50, first),
            cells.of_estimate(
                natural.e2e.mean if natural and natural.e2e else None, formatting.seconds
            ),
            _carries(model),
            *_money(model),
            cells.of_memory(model.model_info),
            cells.load_time(model),
        ),
        class_=f"s{i} chosen" if chosen else f"s{i}",
        detail=cells.described(model.model_info),
        data={
            "ability": ability.overall.value if ability else None,
            "speed": speed.value if speed else None,
            "broken": None if model.broken is None else 1.0,
        },
    )


def _speed_cell(speed: Estimate | None, fastest: float) -> Cell:
    cell = cells.of_estimate(speed, formatting.number)
    if speed is None or not fastest:
        return cell
    return Cell(cell.text, cell.beside, share=speed.value / fastest)


def _passes(check: RequirementCheck | None) -> Cell:
    if check is None:
        return blank("no bar was set (config: bar)")
    if check.passes is None:
        return Cell("? not known", "; ".join(check.misses))
    if check.passes:
        return Cell("✓ passes")
    return Cell("✗ misses", _unbroken("; ".join(check.misses)))


def _carries(model: ModelResult) -> Cell:
    found = model.capacity
    if found is None:
        return blank("capacity was not searched (config: capacity.enabled)")
    unit = "requests" if found.mode == "closed" else "requests/s"
    beside = "not even the smallest load" if found.max_load is None else unit
    return Cell(formatting.carries(found), beside)


def _money(model: ModelResult) -> tuple[Cell, Cell]:
    ability = model.ability
    wait = seconds_per_correct(ability)
    right = cells.of_value(
        wait, formatting.seconds, cells.NO_ABILITY if ability is None else "no answer was right"
    )
    thousand = per_thousand(model.cost)
    if right.text is not None and thousand is not None:
        right = Cell(right.text, f"{formatting.dollars(thousand.value)} per 1,000")
    return cells.of_million(model.cost, interval=False), right


def picture(results: Results) -> ConfigSection:
    """Return the chart of ability against speed."""
    chart = ability_speed.draw(results.models, results.verdict)
    priced = any(m.cost and m.cost.per_million_output_tokens for m in results.models)
    area = (
        "A disc's area is its cost per million tokens."
        if priced
        else "No prices were given, so discs are hollow and of one size."
    )
    return ConfigSection(
        "picture",
        "What a size buys, and what it costs",
        "Ability and speed",
        "Up is abler, right is faster. " + area,
        figure(chart, _why_no_picture(results.models), "Bars are 95 % intervals."),
    )


def _why_no_picture(models: Sequence[ModelResult]) -> str:
    if not any(m.ability for m in models):
        return cells.NO_ABILITY
    return "no size has both ability and speed"
