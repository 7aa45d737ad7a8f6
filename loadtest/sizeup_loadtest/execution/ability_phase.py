"""Ability: the same generated questions for every model, the models taking turns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sizeup_loadtest.ability import score
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.items import ladder
from sizeup_loadtest.analysis.intervals import MIN_BLOCKS
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.load_generator import keep_all
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.storage.run_folder import AbilityFile
from sizeup_loadtest.workload import schedule
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

STAGE = "ability"


async def run(run: Run) -> None:
    """Send all questions, in as many blocks as an interval needs, and grade the outputs.

    Results are written after every block, so a stopped run keeps those of complete blocks.
    """
    config = run.config.ability
    items = ladder(config.kinds, config.levels, config.seed, config.items)
    prompts = {item.key: Prompt(item.key, item.messages) for item in items}
    prompts[schedule.PRELOAD.key] = schedule.PRELOAD
    records: dict[str, list[Record]] = {model: [] for model in run.models}
    for block in range(MIN_BLOCKS):
        part = [prompts[item.key] for item in items[block::MIN_BLOCKS]]
        for model in schedule.order(run.models, block):
            if part and not run.out_of_time():
                segment = _segment(run, model, part, block)
                records[model] += await run.load(segment, prompts, keep_all)
        run.folder.write_json("ability", grade_all(items, records))


def grade_all(items: Sequence[Item], records: Mapping[str, Sequence[Record]]) -> AbilityFile:
    """Grade the outputs of every model; a model without any is left out."""
    grades = {model: score.grades(items, of_model) for model, of_model in records.items()}
    results = {
        model: result
        for model, of_model in records.items()
        if (result := score.result(items, of_model, grades[model]))
    }
    return AbilityFile(results=results, paired=score.pairs(grades))


def _segment(run: Run, model: str, part: Sequence[Prompt], block: int) -> Segment:
    config = run.config.ability
    stage = Stage(STAGE, "closed", config.concurrency, "until_eos")
    segment = schedule.build_segment(run.config, stage, model, part, block)
    requests = tuple(
        replace(request, max_tokens=config.max_tokens, index=block + MIN_BLOCKS * request.index)
        for request in segment.requests
    )
    segment = replace(segment, requests=requests, seconds=None)
    return schedule.with_preload(segment) if len(run.models) > 1 else segment
