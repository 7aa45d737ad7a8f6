"""What each size can do: by kind and level, and on standard suites."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import seconds_per_correct
from sizeup_loadtest.data.results import AbilityKind, ModelResult, Results
from sizeup_loadtest.report.charts import kinds
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, cells, figure, grid
from sizeup_loadtest.report.tables import Cell, Row, blank, table


def section(results: Results) -> ConfigSection:
    """Return the ladder of questions by kind and level."""
    models = results.models
    found = kinds.names(models)
    charts = (_one(models, kind) for kind in found)
    body = grid(*charts, class_="grid small") if found else figure(None, cells.NO_ABILITY)
    return ConfigSection(
        "ability",
        "Where each size breaks",
        "Ability",
        "Made-up questions with one right answer, the same for every size, harder from level to"
        " level. An answer in which none could be found counts as wrong.",
        join((body, _overall(models), _suites(models), _by_kind(models, found))),
    )


def _one(models: Sequence[ModelResult], kind: str) -> Markup:
    return tag("figure", tag("h3", kind), kinds.draw(models, kind))


def _overall(models: Sequence[ModelResult]) -> Markup:
    heads = (
        "Size", "Right|share, 95 %", "Questions", "No answer found", "Cut|at max_tokens",
        "Requests failed",
        "Tokens|per answer", "Time|per answer", "Time|per right answer",
    )  # fmt: skip
    return table(heads, [_row(i, m) for i, m in enumerate(models)], "Ability in all")


def _row(i: int, model: ModelResult) -> Row:
    seen = model.ability
    if seen is None:
        return Row(model.name, (blank(cells.NO_ABILITY),) * 8, class_=f"s{i}")
    return Row(
        model.name,
        (
            cells.of_share(seen.overall, bar=True),
            Cell(str(seen.overall.n)),
            Cell(str(seen.unparsed)),
            cells.of_value(seen.cut, str, "the server does not say how an answer ended"),
            Cell(str(seen.errors)),
            cells.of_estimate(seen.tokens_per_answer, formatting.number, "tokens were not counted"),
            cells.of_estimate(seen.seconds_per_answer, formatting.seconds, "no answer was timed"),
            cells.of_value(seconds_per_correct(seen), formatting.seconds, "no answer was right"),
        ),
        class_=f"s{i}",
    )


def _suites(models: Sequence[ModelResult]) -> Markup | None:
    names = list(dict.fromkeys(name for m in models for name in m.suites))
    if not names:
        return None
    rows = [
        Row(
            model.name,
            tuple(cells.of_suite(model.suites.get(name)) for name in names),
            class_=f"s{i}",
        )
        for i, model in enumerate(models)
    ]
    return table(("Size", *names), rows, "Standard suites (lm-eval), 95 % by its own error")


def _by_kind(models: Sequence[ModelResult], found: Sequence[str]) -> Markup | None:
    if not found:
        return None
    rungs = sorted(
        {(found.index(k.kind), k.level) for m in models if m.ability for k in m.ability.kinds}
    )
    rows = [
        Row(
            found[kind],
            tuple(_score(model, found[kind], level) for model in models),
            detail=f"level {level}",
        )
        for kind, level in rungs
    ]
    heads = ("Kind", *(m.name for m in models))
    numbers = table(heads, rows, "Share right by kind and level, 95 % Wilson interval")
    return tag("details", tag("summary", "Every kind and level in numbers"), numbers)


def _score(model: ModelResult, kind: str, level: int) -> Cell:
    asked: Sequence[AbilityKind] = model.ability.kinds if model.ability else ()
    score = next((k.score for k in asked if (k.kind, k.level) == (kind, level)), None)
    return cells.of_share(score, "not asked")
