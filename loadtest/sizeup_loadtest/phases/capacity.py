"""The search for the largest load of every size; the sizes take turns, a load each."""

from collections.abc import Sequence

from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution import capacity_search
from sizeup_loadtest.execution.run import Phase, Run
from sizeup_loadtest.storage.run_folder import CapacityFile
from sizeup_loadtest.workload import prompts


async def run(run: Run) -> None:
    """Search every size; what was found is kept, also when the run is stopped or its time over.

    A machine that is slow for a minute is so for all of them.
    """
    found = {}
    searches = {model: await _begin(run, model) for model in run.models}
    while searches:
        for model, search in tuple(searches.items()):
            if not await search.step():
                del searches[model]
            found[model] = search.found().result
            run.folder.write_json("capacity", CapacityFile(results=found))


async def _begin(run: Run, model: str) -> capacity_search.CapacitySearch:
    levels = capacity_search.LoadLevels(run.config, model, prompts.source(run.config.prompts))
    if run.config.capacity.mode == "open":
        levels.learn(await run.load(levels.single_stream(), levels.prompts))
    return capacity_search.CapacitySearch(_runner(run, levels), levels.bounds, run.config.slo)


def _runner(run: Run, levels: capacity_search.LoadLevels) -> capacity_search.RunLevel:
    async def run_level(level: float, attempt: int) -> Sequence[Record]:
        if run.over():
            return []
        records = await run.load(levels.segment(level, attempt), levels.prompts)
        levels.learn(records)
        return records

    return run_level


PHASE = Phase("capacity", 20, run, wanted=lambda config: config.capacity.enabled)
