"""Standard suites, one size after the other."""

from collections.abc import Iterator

from sizeup_loadtest import lm_eval
from sizeup_loadtest.client.echo import echoes
from sizeup_loadtest.lm_eval import LmEvalError, Suite
from sizeup_loadtest.rundir import SuitesPiece
from sizeup_loadtest.running import Phase, Run
from sizeup_loadtest.settings import api_key, lm_eval_environment

_SECOND_NS = 1_000_000_000


async def run(run: Run) -> None:
    """Score every size within what is left of the run's time; what was found is kept."""
    found: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    for number, model in enumerate(run.models):
        for suite in _suites(run, number, model):
            try:
                found.setdefault(model, {}).update(await _score(run, model, suite))
            except LmEvalError as error:  # what was measured before is still to be reported
                said = f"no {', '.join(suite.tasks)}: {error}"
                failed[model] = f"{failed[model]}; {said}" if model in failed else said
            run.folder.write_piece("suites", SuitesPiece(results=found, failed=failed))


def _suites(run: Run, number: int, model: str) -> Iterator[Suite]:
    """Name the folders by number, because a model's name may not be one of a folder."""
    folder, asked = run.folder.path, run.config.lm_eval
    if asked.tasks:
        yield lm_eval.generation(run.config, model, folder / f"lm-eval-{number}")
    if asked.likelihood_tasks:
        yield lm_eval.likelihood(run.config, model, folder / f"lm-eval-{number}-likelihood")


async def _score(run: Run, model: str, suite: Suite) -> dict[str, float]:
    left = (run.deadline_ns - run.clock()) / _SECOND_NS
    if left <= 0:
        raise LmEvalError("the run's time was over (limits.max_minutes)")
    if suite.needs_echo and not await echoes(run.client.session, run.config.target.url, model):
        raise LmEvalError("the server does not echo a prompt with its log-probabilities")
    run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
    environment = lm_eval_environment(api_key(run.config.target.api_key_env))
    return await lm_eval.evaluate(suite, environment, left)


PHASE = Phase("suites", 40, run, wanted=lambda config: config.lm_eval.enabled)
