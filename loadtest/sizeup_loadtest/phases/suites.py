"""Standard suites, one size after the other."""

from collections.abc import Iterator

from sizeup_loadtest.client.echo import echo_unsupported_reason
from sizeup_loadtest.config.settings import api_key, lm_eval_environment
from sizeup_loadtest.data.results import SuiteScore
from sizeup_loadtest.execution import lm_eval
from sizeup_loadtest.execution.lm_eval import LmEvalError, Scores, Suite
from sizeup_loadtest.execution.run import Phase, Run
from sizeup_loadtest.storage.run_folder import SuitesFile

_SECOND_NS = 1_000_000_000


async def run(run: Run) -> None:
    """Score every size within what is left of the run's time; what was found is kept."""
    found: dict[str, dict[str, SuiteScore]] = {}
    failed: dict[str, str] = {}
    for number, model in enumerate(run.models):
        for suite in _suites(run, number, model):
            try:
                scores = await _score(run, model, suite)
                found.setdefault(model, {}).update(scores.found)
                missing, why = scores.missing, "no share of 0 to 1 in lm-eval's results"
            except LmEvalError as error:  # what was measured before is still to be reported
                missing, why = suite.tasks, str(error)
            if missing:
                said = f"no {', '.join(missing)}: {why}"
                failed[model] = f"{failed[model]}; {said}" if model in failed else said
            run.folder.write_json("suites", SuitesFile(results=found, failed=failed))


def _suites(run: Run, number: int, model: str) -> Iterator[Suite]:
    """Name the folders by number, because a model's name may not be one of a folder."""
    folder, asked = run.folder.path, run.config.lm_eval
    if asked.tasks:
        yield lm_eval.generation(run.config, model, folder / f"lm-eval-{number}")
    if asked.likelihood_tasks:
        yield lm_eval.likelihood(run.config, model, folder / f"lm-eval-{number}-likelihood")


async def _score(run: Run, model: str, suite: Suite) -> Scores:
    left = (run.deadline_ns - run.clock()) / _SECOND_NS
    if left <= 0:
        raise LmEvalError("the run's time was over (limits.max_minutes)")
    if suite.needs_echo:
        why = await echo_unsupported_reason(run.client.session, run.config.target.url, model)
        if why is not None:
            raise LmEvalError(why)
    run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
    environment = lm_eval_environment(api_key(run.config.target.api_key_env))
    return await lm_eval.evaluate(suite, environment, left)


PHASE = Phase("suites", 40, run, wanted=lambda config: config.lm_eval.enabled)
