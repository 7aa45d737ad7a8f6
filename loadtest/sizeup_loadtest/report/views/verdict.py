"""The top of the page: the recommended model, and what the script needs to change it. Pure."""

from collections.abc import Mapping, Sequence

from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views import cards


def sentence(results: Results) -> tuple[str, str | None, str]:
    """Return the name of the recommended model, between the parts of the sentence around it."""
    found = results.verdict
    whole = cards.unbroken(found.sentence if found else "No verdict.")
    name = found.smallest if found else None
    before, split, after = whole.partition(f" is {name}.")
    return (f"{before} is ", name, f".{after}") if split else (whole, None, "")


def controls(results: Results) -> Sequence[tuple[verdict.Requirement, str]]:
    """Return every requirement that is set or was measured, with the value of its input."""
    required = cards.requirements(results)
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
        "marks": cards.MARKS,
        "verdicts": cards.VERDICTS,
    }
