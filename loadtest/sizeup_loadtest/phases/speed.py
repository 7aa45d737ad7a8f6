"""The plan's segments, one after the other."""

from sizeup_loadtest.execution.run import Phase, Run


async def run(run: Run) -> None:
    """Send the whole plan, or as much of it as the run's time allows."""
    for number, segment in enumerate(run.plan.segments):
        await run.at_slot(number)
        if run.over():
            return
        await run.load(segment, run.plan.prompts)


PHASE = Phase("speed", 10, run, by_shards=True)
