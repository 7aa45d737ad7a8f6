"""Ability by kind and level, and on standard suites; sample outputs. Pure."""

from collections.abc import Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.cost import seconds_per_correct
from sizeup_loadtest.data.ability import AbilityKind
from sizeup_loadtest.data.results import ModelResult, Results, SampleOutputs
from sizeup_loadtest.report.charts import kinds
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Details,
    Figure,
    Grid,
    Sample,
    Section,
    Table,
    TableRow,
    blank,
    present,
)

_MAX_CHARACTERS = 4000
"""Of an output on the page; the records have all of it."""


def section(results: Results) -> Section:
    models = results.models
    names = kinds.names(models)
    charts = tuple(Figure(kinds.draw(models, kind), cells.NO_ABILITY, title=kind) for kind in names)
    return Section(
        "ability",
        "Ability by kind of question",
        "Ability",
        "Generated questions with one correct answer, the same for every model, harder from level"
        " to level. An output without a recognisable answer counts as wrong.",
        present(
            Grid(charts, "grid small") if charts else Figure(None, cells.NO_ABILITY),
            _overall(models),
            _suites(models),
            _by_kind(models, names),
        ),
    )


def _overall(models: Sequence[ModelResult]) -> Table:
    heads = (
        "Model", "Correct|fraction, 95 % CI", "Questions", "No answer found",
        "Truncated|at max_tokens", "Failed requests",
        "Tokens|per answer", "Time|per answer", "Time|per correct answer",
    )  # fmt: skip
    return Table(heads, tuple(_row(i, m) for i, m in enumerate(models)), "Ability, overall")


def _row(i: int, model: ModelResult) -> TableRow:
    seen = model.ability
    if seen is None:
        return TableRow(model.name, (blank(cells.NO_ABILITY),) * 8, class_=f"s{i}")
    seconds = formatting.seconds
    return TableRow(
        model.name,
        (
            cells.proportion(seen.overall, bar=True),
            Cell(str(seen.overall.n)),
            Cell(str(seen.unparsed)),
            cells.plain(seen.truncated, str, "the server sends no finish reason"),
            Cell(str(seen.errors)),
            cells.estimate(seen.tokens_per_answer, formatting.number, "tokens were not counted"),
            cells.estimate(seen.seconds_per_answer, seconds, "no answer was timed"),
            cells.plain(seconds_per_correct(seen), seconds, "no answer was correct"),
        ),
        class_=f"s{i}",
    )


def _suites(models: Sequence[ModelResult]) -> Table | None:
    names = tuple(dict.fromkeys(name for m in models for name in m.suites))
    if not names:
        return None
    found = tuple(
        TableRow(model.name, tuple(cells.suite(model.suites.get(n)) for n in names), class_=f"s{i}")
        for i, model in enumerate(models)
    )
    return Table(("Model", *names), found, "Standard suites (lm-eval), 95 % CI from its stderr")


def _by_kind(models: Sequence[ModelResult], names: Sequence[str]) -> Details | None:
    if not names:
        return None
    levels = sorted(
        {(names.index(k.kind), k.level) for m in models if m.ability for k in m.ability.kinds}
    )
    found = tuple(
        TableRow(
            names[kind],
            tuple(_score(model, names[kind], level) for model in models),
            detail=f"level {level}",
        )
        for kind, level in levels
    )
    heads = ("Kind", *(m.name for m in models))
    return Details(Table(heads, found, "Every kind and level, 95 % Wilson interval"))


def _score(model: ModelResult, kind: str, level: int) -> Cell:
    scores: Sequence[AbilityKind] = model.ability.kinds if model.ability else ()
    score = next((k.score for k in scores if (k.kind, k.level) == (kind, level)), None)
    return cells.proportion(score, "no question of this kind and level")


def samples(results: Results) -> Section:
    """Outputs of all models side by side. Untrusted text."""
    names = [model.name for model in results.models]
    found = tuple(_sample(sample, names) for sample in results.samples)
    return Section(
        "samples",
        "Sample outputs",
        "Samples",
        "The same prompt for every model.",
        found or (Figure(None, "no outputs were kept"),),
    )


def _sample(sample: SampleOutputs, names: list[str]) -> Sample:
    order = [n for n in names if n in sample.outputs]
    order += [n for n in sample.outputs if n not in names]
    return Sample(
        _truncated(sample.prompt),
        tuple(
            (
                name,
                _truncated(sample.outputs[name]),
                f"s{names.index(name)}" if name in names else None,
            )
            for name in order
        ),
    )


def _truncated(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + " … (truncated)"
