"""Ability by kind and level, and on standard suites; sample outputs. Pure."""

from collections.abc import Callable, Iterator, Sequence

from sizeup_loadtest import formatting
from sizeup_loadtest.data.ability import AbilityResult, WrongAnswer
from sizeup_loadtest.data.results import ModelResult, Results, SampleOutputs
from sizeup_loadtest.report.views import blocks, cells
from sizeup_loadtest.report.views.blocks import Cell, Sample, Samples, Section, Table

_MAX_CHARACTERS = 4000
"""Of an output on the page; the records have all of it."""


def section(results: Results) -> Section | None:
    models = results.models
    if not any(model.ability or model.suites for model in models):
        return None
    source = results.ability_source or "built-in"
    asked = "Generated questions" if source == "built-in" else f"The questions of {source}"
    return Section(
        "ability",
        "Ability",
        f"{asked} with one correct answer, the same for every model. An output without a"
        " recognisable answer counts as wrong.",
        (_overall(models), _suites(models), _by_kind(models), *_wrong(models)),
    )


_COLUMNS: blocks.Columns[AbilityResult] = {
    "Correct|fraction, 95 % CI": lambda seen: cells.proportion(seen.overall, bar=True),
    "Questions": lambda seen: Cell(str(seen.overall.n)),
    "No answer found": lambda seen: Cell(str(seen.unparsed)),
    "Truncated|at max_tokens": lambda seen: cells.plain(
        seen.truncated, str, "the server sends no finish reason"
    ),
    "Failed requests": lambda seen: Cell(str(seen.errors)),
    "Tokens|per answer": lambda seen: cells.estimate(
        seen.tokens_per_answer, formatting.number, "tokens were not counted"
    ),
    "Time|per answer": lambda seen: cells.estimate(
        seen.seconds_per_answer, formatting.seconds, "no answer was timed"
    ),
}


def _overall(models: Sequence[ModelResult]) -> Table | None:
    rows = [(blocks.of_model(i, model), model.ability) for i, model in enumerate(models)]
    return blocks.table("Model", _COLUMNS, rows, "Ability, overall", cells.NO_ABILITY)


def _suites(models: Sequence[ModelResult]) -> Table | None:
    columns = {name: _suite(name) for model in models for name in model.suites}
    rows = [(blocks.of_model(i, model), model) for i, model in enumerate(models)]
    caption = "Standard suites (lm-eval), 95 % CI from its stderr"
    return blocks.table("Model", columns, rows, caption) if columns else None


def _suite(name: str) -> Callable[[ModelResult], Cell]:
    return lambda model: cells.suite(model.suites.get(name))


def _by_kind(models: Sequence[ModelResult]) -> Table | None:
    """Return a row per kind, in the order of the results, and level; a column per model."""
    asked = [one for model in models if model.ability for one in model.ability.kinds]
    order = list(dict.fromkeys(one.kind for one in asked))
    levels = sorted({(order.index(one.kind), one.level) for one in asked})
    rows = [
        (blocks.TableRow(order[kind], detail=f"level {level}"), (order[kind], level))
        for kind, level in levels
    ]
    columns = {model.name: _scores(model.ability) for model in models}
    caption = "Every kind and level, 95 % Wilson interval"
    return blocks.table("Kind", columns, rows, caption, is_collapsed=True)


def _scores(ability: AbilityResult | None) -> Callable[[tuple[str, int]], Cell]:
    scores = {(one.kind, one.level): one.score for one in ability.kinds} if ability else {}
    return lambda level: cells.proportion(scores.get(level), "no question of this kind and level")


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
    found = tuple(_sample(sample, results.models) for sample in results.samples)
    if not found:
        return None
    lead = "The same prompt for every model."
    return Section("samples", "Sample outputs", lead, found, short="Samples")


def _sample(sample: SampleOutputs, models: Sequence[ModelResult]) -> Sample:
    outputs = tuple(
        (model.name, _truncated(sample.outputs[model.name]), f"s{i}")
        for i, model in enumerate(models)
        if model.name in sample.outputs
    )
    return Sample(_truncated(sample.prompt), outputs)


def _truncated(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + " … (truncated)"
