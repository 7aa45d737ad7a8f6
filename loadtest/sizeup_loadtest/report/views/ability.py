"""Ability by kind and level, and on standard suites; sample outputs. Pure."""

from collections.abc import Iterator, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.data.ability import AbilityKind, AbilityResult, WrongAnswer
from sizeup_loadtest.data.results import ModelResult, Results, SampleOutputs
from sizeup_loadtest.report.views import cells
from sizeup_loadtest.report.views.blocks import (
    Cell,
    Details,
    Sample,
    Samples,
    Section,
    Table,
    TableRow,
    blank,
    present,
)

_MAX_CHARACTERS = 4000
"""Of an output on the page; the records have all of it."""


def section(results: Results) -> Section | None:
    models = results.models
    if not any(model.ability or model.suites for model in models):
        return None
    names = _kinds(models)
    source = results.ability_source or "built-in"
    asked = "Generated questions" if source == "built-in" else f"The questions of {source}"
    tables = (_overall(models), _suites(models), _by_kind(models, names), *_wrong(models))
    return Section(
        "ability",
        "Ability",
        "Ability",
        f"{asked} with one correct answer, the same for every model. An output without a"
        " recognisable answer counts as wrong.",
        present(*tables),
    )


def _kinds(models: Sequence[ModelResult]) -> list[str]:
    """Return the kinds of questions, in the order of the results."""
    return list(dict.fromkeys(k.kind for m in models if m.ability for k in m.ability.kinds))


def _scores(model: ModelResult, kind: str) -> Sequence[AbilityKind]:
    return [k for k in model.ability.kinds if k.kind == kind] if model.ability else []


def _overall(models: Sequence[ModelResult]) -> Table:
    heads = (
        "Model", "Correct|fraction, 95 % CI", "Questions", "No answer found",
        "Truncated|at max_tokens", "Failed requests",
        "Tokens|per answer", "Time|per answer",
    )  # fmt: skip
    return Table(heads, tuple(_row(i, m) for i, m in enumerate(models)), "Ability, overall")


def _row(i: int, model: ModelResult) -> TableRow:
    seen = model.ability
    if seen is None:
        return TableRow(model.name, (blank(cells.NO_ABILITY),) * 7, class_=f"s{i}")
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
    score = next((k.score for k in _scores(model, kind) if k.level == level), None)
    return cells.proportion(score, "no question of this kind and level")


def _wrong(models: Sequence[ModelResult]) -> Iterator[Samples]:
    """Yield what each model got wrong, by kind: a question with the answers of all models."""
    kinds: dict[str, dict[str, WrongAnswer]] = {}
    for model in models:
        for one in model.ability.wrong if model.ability else ():
            kinds.setdefault(one.kind, {}).setdefault(one.question, one)
    for kind, questions in kinds.items():
        count = f"{len(questions)} question{'s' if len(questions) > 1 else ''}"
        items = tuple(_question(models, one) for one in questions.values())
        yield Samples(f"Wrong answers, {kind}: {count}", items)


def _question(models: Sequence[ModelResult], asked: WrongAnswer) -> Sample:
    graded = [model.ability for model in models if model.ability]
    answers = tuple(
        (model.name, _answer(model.ability, asked.question, graded), f"s{i}")
        for i, model in enumerate(models)
        if model.ability
    )
    return Sample(_truncated(asked.question), answers, _truncated(asked.expected))


def _answer(ability: AbilityResult, question: str, graded: Sequence[AbilityResult]) -> str:
    found = next((one for one in ability.wrong if one.question == question), None)
    if found is None:
        return "✓" if _was_correct(ability, question, graded) else "(not kept)"
    unparsed = "" if found.parsed else "(no answer recognised) "
    return f"✗ {unparsed}{_truncated(found.answer)}"


def _was_correct(ability: AbilityResult, question: str, graded: Sequence[AbilityResult]) -> bool:
    """Whether a question that is not among the wrong ones was answered correctly.

    It may not have been asked, or come after the last wrong answer that was kept: all models have
    the same order of questions, and another model's wrong ones show where in it this one is.
    """
    if ability.errors:
        return False
    whole = ability.overall.n == max(other.overall.n for other in graded)
    if whole and len(ability.wrong) == ability.overall.n - ability.overall.successes:
        return True
    own = {one.question for one in ability.wrong}
    orders = ([one.question for one in other.wrong] for other in graded)
    return any(
        own & set(order[order.index(question) + 1 :]) for order in orders if question in order
    )


def samples(results: Results) -> Section | None:
    """Outputs of all models side by side. Untrusted text."""
    names = [model.name for model in results.models]
    found = tuple(_sample(sample, names) for sample in results.samples)
    if not found:
        return None
    return Section(
        "samples",
        "Sample outputs",
        "Samples",
        "The same prompt for every model.",
        found,
    )


def _sample(sample: SampleOutputs, names: Sequence[str]) -> Sample:
    outputs = tuple(
        (name, _truncated(sample.outputs[name]), f"s{i}")
        for i, name in enumerate(names)
        if name in sample.outputs
    )
    return Sample(_truncated(sample.prompt), outputs)


def _truncated(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + " … (truncated)"
