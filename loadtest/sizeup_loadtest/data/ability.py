"""Accuracy in `results.json`; see `results`."""

from sizeup_loadtest.data.parts import Estimate, Proportion, Result


class AbilityKind(Result):
    """Score of one kind of question at one level."""

    kind: str
    level: int
    score: Proportion
    unparsed: int
    """Outputs without a recognisable answer; graded as wrong."""


class WrongAnswer(Result):
    """A question that a model got wrong. Long texts are cut in their middle, to 500 characters."""

    question: str
    expected: str
    answer: str
    kind: str
    parsed: bool
    """False where the output has no recognisable answer."""


class AbilityResult(Result):
    """Accuracy of a model on questions with one correct answer."""

    overall: Proportion
    kinds: tuple[AbilityKind, ...]
    unparsed: int
    truncated: int | None = None
    """Outputs that ended at ability.max_tokens; None where the server sends no finish reason."""
    errors: int
    """Failed requests; not graded, but counted in validity."""
    seconds_per_answer: Estimate | None
    tokens_per_answer: Estimate | None
    correct_per_second: Estimate | None = None
    """Correct answers / seconds spent on this model, at ability.concurrency."""
    wrong: tuple[WrongAnswer, ...] = ()
    """The first 20 of the questions, which are the same for every model."""


class SuiteScore(Result):
    """A score of a standard suite, by lm-eval."""

    value: float
    """0 to 1."""
    stderr: float | None = None
    """As reported by lm-eval; the 95 % interval is 1.96 of it to both sides."""
    n: int | None = None
    """Questions."""
