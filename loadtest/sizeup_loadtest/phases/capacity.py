"""The search for the largest load of every size, one size after the other."""

from collections.abc import Sequence

from sizeup_loadtest import capacity, prompts
from sizeup_loadtest.record import Record
from sizeup_loadtest.rundir import CapacityPiece
from sizeup_loadtest.running import Phase, Run


async def run(run: Run) -> None:
    """Search every size; what was found before the run's time was over is kept."""
    found = {}
    for model in run.models:
        levels = capacity.Levels(run.config, model, prompts.source(run.config.prompts))
        if run.config.capacity.mode == "open":
            levels.learn(await run.load(levels.alone(), levels.prompts))
        searched = await capacity.find(_runner(run, levels), levels.bounds, run.config.slo)
        found[model] = searched.result
        run.folder.write_piece("capacity", CapacityPiece(results=found))


def _runner(run: Run, levels: capacity.Levels) -> capacity.RunLevel:
    async def run_level(level: float, attempt: int) -> Sequence[Record]:
        if run.over():
            return []
        records = await run.load(levels.segment(level, attempt), levels.prompts)
        levels.learn(records)
        return records

    return run_level


PHASE = Phase("capacity", 20, run, wanted=lambda config: config.capacity.enabled)
