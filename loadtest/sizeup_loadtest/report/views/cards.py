"""The top of the page: the verdict, and a card for every model with what decides about it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.analysis.cost import per_thousand, seconds_per_correct
from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import (
    ModelResult,
    RequirementCheck,
    Requirements,
    Results,
    StageResult,
)
from sizeup_loadtest.report import text
from sizeup_loadtest.report.views import cells, commands
from sizeup_loadtest.report.views.blocks import Cell, blank

MARKS = {"met": "✓", "missed": "✗", "unknown": "?"}
VERDICTS = {
    "": "– no requirements",
    "met": "✓ passes",
    "missed": "✗ does not pass",
    "unknown": "? not fully measured",
    "invalid": "✗ invalid: do not use",
}
"""Of a model."""
_NOT_TIMED = "no correct answer was timed"


Neighbour = tuple[str, str, str]
"""The next smaller or larger model: which of both, its name, and the difference."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A line of a card; `key` is of the requirement that limits it, if any can."""

    name: str
    cell: Cell
    key: str | None = None
    mark: str = ""
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What decides about one model."""

    name: str
    class_: str
    described: str | None
    mark: str
    chosen: bool
    criteria: tuple[Criterion, ...]
    details: tuple[Criterion, ...]
    neighbours: tuple[Neighbour, ...]


def requirements(results: Results) -> Requirements:
    return results.verdict.requirements if results.verdict else Requirements()


def is_chosen(results: Results, model: ModelResult) -> bool:
    return results.verdict is not None and results.verdict.smallest == model.name


def unbroken(sentence: str) -> str:
    """Use no-break spaces around comparisons and before units."""
    for sign in ("≥", "≤"):
        sentence = sentence.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return sentence.replace(" %", "\u00a0%")


def sentence(results: Results) -> tuple[str, str | None, str]:
    """Return the name of the recommended model, between the parts of the sentence around it."""
    found = results.verdict
    whole = unbroken(found.sentence if found else "No verdict.")
    name = found.smallest if found else None
    before, split, after = whole.partition(f" is {name}.")
    return (f"{before} is ", name, f".{after}") if split else (whole, None, "")


def controls(results: Results) -> Sequence[tuple[verdict.Requirement, str]]:
    """Return every requirement that is set or was measured, with the value of its input."""
    required = requirements(results)
    return [
        (one, "" if limit is None else one.number(limit).replace(",", ""))
        for one in verdict.REQUIREMENTS.values()
        for limit in [one.limit(required)]
        if limit is not None or any(one.measured(model) for model in results.models)
    ]


def rules(results: Results) -> Mapping[str, object]:
    """Return what the script needs to apply other requirements."""
    models = [
        {
            "name": model.name,
            "valid": model.invalid_reason is None,
            "measured": {
                one.key: [seen.value, seen.low, seen.high]
                for one in verdict.REQUIREMENTS.values()
                if (seen := one.measured(model))
            },
        }
        for model in results.models
    ]
    requirements = [
        {"key": r.key, "name": r.name, "unit": r.unit, "minimum": r.is_minimum, "scale": r.scale}
        for r in verdict.REQUIREMENTS.values()
    ]
    sentences = verdict.SENTENCES | {
        "chosen": verdict.SENTENCES["smallest" if results.ordered_by_size else "first"],
        "unset": verdict.without_requirements(results.models),
    }
    return {
        "models": models,
        "requirements": requirements,
        "sentences": sentences,
        "marks": MARKS,
        "verdicts": VERDICTS,
    }


def card(results: Results, i: int) -> Card:
    model, required = results.models[i], requirements(results)
    check = verdict.check(model, required)
    return Card(
        name=model.name,
        class_=f"s{i}",
        described=cells.described(model),
        mark=VERDICTS[_state(model, check)],
        chosen=is_chosen(results, model),
        criteria=_criteria(results, model, required),
        details=_details(model),
        neighbours=_neighbours(results, i),
    )


def _state(model: ModelResult, check: RequirementCheck) -> str:
    if model.invalid_reason is not None:
        return "invalid"
    if check.passes is None:
        return "unknown" if check.misses else ""
    return "met" if check.passes else "missed"


def _criteria(
    results: Results, model: ModelResult, required: Requirements
) -> tuple[Criterion, ...]:
    stage = lightest_stage(model)
    ability = model.ability.overall if model.ability else None
    no_ability = commands.missing(results, "ability").reason
    rate = stage.tok_s_user if stage else None
    speed = cells.estimate(rate, lambda value: f"{formatting.number(value)} tokens/s")
    in_slo = cells.attainment(stage) if stage else blank(cells.NO_SLO)
    carries = cells.max_load(model.capacity, commands.missing(results, "capacity").reason)

    def judged(name: str, cell: Cell, key: str) -> Criterion:
        """Add the mark of a requirement, and the requirement, where it is set."""
        one = verdict.REQUIREMENTS[key]
        if (limit := one.limit(required)) is None:
            return Criterion(name, cell, key)
        text = one.describe(limit).removeprefix(f"{one.name} ")
        return Criterion(name, cell, key, MARKS[one.state(model, limit)], unbroken(text))

    return (
        judged("Ability", cells.proportion(ability, no_ability, bar=True), "ability"),
        judged("Speed", speed, "tok_s_user"),
        judged("First token", _first_token(stage), "ttft_p50"),
        judged("Within SLO", in_slo, "attainment"),
        Criterion("Carries", carries),
        judged("Cost", cells.cost_per_million(model.cost), "cost_per_million"),
        Criterion("Memory", cells.memory(model.model_info)),
        Criterion("Errors", _errors(model)),
    )


def _first_token(stage: StageResult | None) -> Cell:
    """Return the median TTFT, with p95 and that of the answer of a model that thinks."""
    first = stage.ttft if stage else None
    cell = cells.median(first)
    if stage is None or first is None or first.p50 is None:
        return cell
    p95 = "–" if first.p95 is None else formatting.seconds(first.p95)
    notes = ["p50", f"p95 {p95}"]
    if stage.answer_ttft and stage.answer_ttft.p50 is not None:
        notes.append(f"answer {formatting.seconds(stage.answer_ttft.p50)}")
    return Cell(cell.text, ", ".join(note.replace(" ", "\u00a0") for note in notes))


def _errors(model: ModelResult) -> Cell:
    total = sum(stage.n for stage in model.stages)
    if not total:
        return blank(cells.NO_STAGE)
    failed = f"{text.failures(model.stages)} of {total:,}"
    return Cell(failed, text.frequent_errors(model.stages) or None)


def _details(model: ModelResult) -> tuple[Criterion, ...]:
    stage = lightest_stage(model)
    until_eos = lightest_stage(model, "until_eos") or stage
    e2e = until_eos.e2e.mean if until_eos and until_eos.e2e else None
    correct = seconds_per_correct(model.ability)
    thousand, weights = per_thousand(model.cost), model.model_info.weight_bytes
    price = model.cost.price_per_hour if model.cost else None
    seconds, dollars, no_price = formatting.seconds, formatting.dollars, cells.NO_PRICE
    return (
        Criterion("Whole answer", cells.estimate(e2e, seconds)),
        Criterion("Per correct answer", cells.plain(correct, seconds, _NOT_TIMED)),
        Criterion("1,000 correct answers", cells.estimate(thousand, dollars, no_price)),
        Criterion("Price per hour", cells.plain(price, dollars, no_price)),
        Criterion("Weights", cells.plain(weights, formatting.size_of, "size not reported")),
        Criterion("Load time", cells.load_time(model)),
    )


def _neighbours(results: Results, i: int) -> tuple[Neighbour, ...]:
    models = results.models
    words = ("One size down", "One size up")
    if not results.ordered_by_size:
        words = ("Listed before", "Listed after")
    return tuple(
        (word, models[i + step].name, _difference(models[i], models[i + step]))
        for step, word in zip((-1, 1), words, strict=True)
        if 0 <= i + step < len(models)
    )


def _difference(chosen: ModelResult, other: ModelResult) -> str:
    if other.invalid_reason is not None:
        return "invalid"
    parts = []
    if chosen.ability and other.ability:
        points = (other.ability.overall.value - chosen.ability.overall.value) * 100
        parts.append(f"{points:+.0f} points of ability".replace("-", "−"))
    if ratio := _ratio("tok_s_user", chosen, other):
        direction = "faster" if ratio >= 1 else "slower"
        parts.append(f"{formatting.times(max(ratio, 1 / ratio))} {direction} per token")
    if ratio := _ratio("cost_per_million", chosen, other):
        parts.append(f"{ratio:.2g} × the cost per token")
    return ", ".join(parts) or "not measured"


def _ratio(key: str, chosen: ModelResult, other: ModelResult) -> float | None:
    own, theirs = (verdict.REQUIREMENTS[key].measured(model) for model in (chosen, other))
    return theirs.value / own.value if own and theirs and own.value else None
