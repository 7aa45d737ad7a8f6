"""The top of the page: the recommended model, and what the script needs to change it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import ModelResult, Requirements, Results
from sizeup_loadtest.report.views import cards, commands
from sizeup_loadtest.report.views.blocks import Missing
from sizeup_loadtest.report.views.cards import Card


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict; `before` and `after` are the sentence around the name of the model."""

    before: str
    recommended: str | None
    after: str
    controls: tuple[tuple[verdict.Requirement, str], ...]
    """An input and its value for every requirement that is set or was measured."""
    cards: tuple[Card, ...]
    missing: tuple[Missing, ...]
    rules: Mapping[str, object]
    """What the script needs to apply other requirements."""


def view(results: Results) -> VerdictView:
    found, required = results.verdict, cards.requirements(results)
    sentence = cards.unbroken(found.sentence if found else "No verdict.")
    name = found.smallest if found else None
    before, split, after = sentence.partition(f" is {name}.")
    return VerdictView(
        before=f"{before} is " if split else sentence,
        recommended=name if split else None,
        after=f".{after}" if split else "",
        controls=_controls(results.models, required),
        cards=tuple(cards.card(results, i) for i in range(len(results.models))),
        missing=commands.all_missing(results),
        rules=_rules(results),
    )


def _controls(
    models: Sequence[ModelResult], required: Requirements
) -> tuple[tuple[verdict.Requirement, str], ...]:
    return tuple(
        (one, "" if limit is None else one.number(limit).replace(",", ""))
        for one in verdict.REQUIREMENTS.values()
        for limit in [one.limit(required)]
        if limit is not None or any(one.measured(m) for m in models)
    )


def _rules(results: Results) -> Mapping[str, object]:
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
        "marks": cards.MARKS,
        "verdicts": cards.VERDICTS,
    }
