"""Standard suites by lm-eval, one model after the other."""

from collections.abc import Iterator

from sizeup_loadtest.client.echo import echo_unsupported_reason
from sizeup_loadtest.config.settings import lm_eval_environment
from sizeup_loadtest.data.results import SuiteScore
from sizeup_loadtest.execution import lm_eval
from sizeup_loadtest.execution.clock import SECOND_NS
from sizeup_loadtest.execution.lm_eval import LmEvalError, Scores, Suite
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.storage.run_folder import SuitesFile


async def check_installed(run: Run) -> None:
    """Raise UsageError without lm-eval: before hours of measurements, not after."""
    lm_eval.check_command(run.config.lm_eval.command[0])


async def run(run: Run) -> None:
    """Score every model within the remaining time; scores so far are kept."""
    results: dict[str, dict[str, SuiteScore]] = {}
    failed: dict[str, list[str]] = {}
    for number, model in enumerate(run.models):
        for suite in _suites(run, number, model):
            try:
                scores = await _score(run, model, suite)
                results.setdefault(model, {}).update(scores.by_task)
                missing, reason = scores.missing, "lm-eval's results have no metric of 0 to 1"
            except LmEvalError as error:  # the other measurements are still to be reported
                missing, reason = suite.tasks, str(error)
            if missing:
                message = f"no score for {', '.join(missing)}: {reason}"
                failed.setdefault(model, []).append(message)
            joined = {name: "; ".join(messages) for name, messages in failed.items()}
            run.folder.write_json("suites", SuitesFile(results=results, failed=joined))


def _suites(run: Run, number: int, model: str) -> Iterator[Suite]:
    """Folders are numbered, because the name of a model may not be valid for a folder."""
    folder, config = run.folder.path, run.config.lm_eval
    if config.tasks:
        yield lm_eval.generation(run.config, model, folder / f"lm-eval-{number}")
    if config.likelihood_tasks:
        yield lm_eval.likelihood(run.config, model, folder / f"lm-eval-{number}-likelihood")


async def _score(run: Run, model: str, suite: Suite) -> Scores:
    remaining = (run.deadline_ns - run.clock()) / SECOND_NS
    if remaining <= 0:
        raise LmEvalError("out of time (limits.max_minutes)")
    server = run.client.servers[model]
    if server.headers:  # lm-eval writes its arguments, and with them the headers, to its results
        raise LmEvalError("lm-eval does not send the headers of the config")
    if suite.needs_echo:
        reason = await echo_unsupported_reason(run.client.session, server)
        if reason is not None:
            raise LmEvalError(reason)
    run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
    environment = lm_eval_environment(server.key)
    return await lm_eval.evaluate(suite, environment, remaining)
