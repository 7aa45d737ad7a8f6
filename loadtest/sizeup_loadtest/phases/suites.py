"""Standard suites, one size after the other."""

from sizeup_loadtest import lm_eval
from sizeup_loadtest.rundir import SuitesPiece
from sizeup_loadtest.running import Phase, Run
from sizeup_loadtest.settings import api_key, lm_eval_environment

_SECOND_NS = 1_000_000_000


async def run(run: Run) -> None:
    """Score every size within what is left of the run's time; what was found is kept."""
    environment = lm_eval_environment(api_key(run.config.target.api_key_env))
    found: dict[str, dict[str, float]] = {}
    for number, model in enumerate(run.models):
        left = (run.deadline_ns - run.clock()) / _SECOND_NS
        if left <= 0:
            return
        # Numbered, because a model's name may not be one of a folder.
        suite = lm_eval.suite(run.config, model, run.folder.path / f"lm-eval-{number}")
        run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
        try:
            found[model] = await lm_eval.evaluate(suite, environment, left)
        except lm_eval.LmEvalError as error:  # what was measured before is still to be reported
            run.console.print(f"no suites of {model}: {error}", markup=False, soft_wrap=True)
            continue
        run.folder.write_piece("suites", SuitesPiece(results=found))


PHASE = Phase("suites", 40, run, wanted=lambda config: config.lm_eval.enabled)
