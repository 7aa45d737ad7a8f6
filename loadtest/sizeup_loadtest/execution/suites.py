"""Standard suites by lm-eval, one model after the other."""

from sizeup_loadtest.config.settings import lm_eval_environment
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.execution import lm_eval
from sizeup_loadtest.execution.lm_eval import LmEvalError, Scores, Suite
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.clock import SECOND_NS
from sizeup_loadtest.storage.run_folder import SuitesFile


async def check_installed(run: Run) -> None:
    """Raise UsageError without lm-eval: before hours of measurements, not after."""
    lm_eval.check_command(run.config.lm_eval.command[0])


async def run(run: Run) -> None:
    """Score every model within the remaining time; scores so far are kept."""
    results: dict[str, dict[str, SuiteScore]] = {}
    failed: dict[str, str] = {}
    for number, model in enumerate(run.models):
        # Numbered, because the name of a model may not be valid for a folder.
        suite = lm_eval.suite(run.config, model, run.folder.path / f"lm-eval-{number}")
        try:
            scores = await _score(run, model, suite)
            results[model] = dict(scores.by_task)
            missing, reason = scores.missing, "lm-eval's results have no metric of 0 to 1"
        except LmEvalError as error:  # the other measurements are still to be reported
            missing, reason = suite.tasks, str(error)
        if missing:
            failed[model] = f"no score for {', '.join(missing)}: {reason}"
        run.folder.write_json("suites", SuitesFile(results=results, failed=failed))


async def _score(run: Run, model: str, suite: Suite) -> Scores:
    remaining = (run.deadline_ns - run.clock()) / SECOND_NS
    if remaining <= 0:
        raise LmEvalError("out of time (limits.max_minutes)")
    server = run.client.servers[model]
    if server.headers:  # lm-eval writes its arguments, and with them the headers, to its results
        raise LmEvalError("lm-eval does not send the headers of the config")
    run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
    environment = lm_eval_environment(server.key)
    return await lm_eval.evaluate(suite, environment, remaining)
