"""Questions with one right answer, the same to every size, the sizes taking turns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sizeup_loadtest.ability import score
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.items import ladder
from sizeup_loadtest.analysis.intervals import MIN_BLOCKS
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.load_generator import keep_all
from sizeup_loadtest.execution.run import Phase, Run
from sizeup_loadtest.storage.run_folder import AbilityFile
from sizeup_loadtest.workload import schedule
from sizeup_loadtest.workload.prompts import Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

STAGE = "ability"


async def run(run: Run) -> None:
    """Ask everything in as many blocks as an interval needs, and grade what was answered.

    What whole blocks found is kept, also when the run is stopped.
    """
    asked = run.config.ability
    items = ladder(asked.kinds, asked.levels, asked.seed, asked.items)
    prompts = {item.key: Prompt(item.key, item.messages) for item in items}
    prompts[schedule.PRELOAD.key] = schedule.PRELOAD
    records: dict[str, list[Record]] = {model: [] for model in run.models}
    for block in range(MIN_BLOCKS):
        part = [prompts[item.key] for item in items[block::MIN_BLOCKS]]
        for model in schedule.order(run.models, block):
            if part and not run.over():
                segment = _segment(run, model, part, block)
                records[model] += await run.load(segment, prompts, keep_all)
        run.folder.write_json("ability", read_json(items, records))


def read_json(items: Sequence[Item], records: Mapping[str, Sequence[Record]]) -> AbilityFile:
    """Grade every size's answers; a size without any is left out."""
    given = {model: score.grades(items, of_model) for model, of_model in records.items()}
    results = {
        model: found
        for model, of_model in records.items()
        if (found := score.result(items, of_model, given[model]))
    }
    return AbilityFile(results=results, paired=score.pairs(given))


def _segment(run: Run, model: str, part: Sequence[Prompt], block: int) -> Segment:
    asked = run.config.ability
    stage = Stage(STAGE, "closed", asked.concurrency, "until_eos")
    made = schedule.build_segment(run.config, stage, model, part, block)
    requests = tuple(
        replace(request, max_tokens=asked.max_tokens, index=block + MIN_BLOCKS * request.index)
        for request in made.requests
    )
    made = replace(made, requests=requests, seconds=None)
    return schedule.with_preload(made) if len(run.models) > 1 else made


PHASE = Phase("ability", 30, run, wanted=lambda config: config.ability.enabled)
