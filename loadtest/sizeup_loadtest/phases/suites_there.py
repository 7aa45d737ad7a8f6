"""Whether lm-eval can be started, told before hours of measuring and not after."""

from sizeup_loadtest.execution import lm_eval
from sizeup_loadtest.execution.run import Phase, Run


async def run(run: Run) -> None:
    """Raise UsageError when the command is not there."""
    lm_eval.check(run.config.lm_eval.command[0])


PHASE = Phase("suites_there", -10, run, wanted=lambda config: config.lm_eval.enabled)
