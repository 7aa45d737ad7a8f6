"""Ability: the same questions for every model, the models taking turns."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sizeup_loadtest.ability import score
from sizeup_loadtest.ability.grade import Grade
from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.ability.questions import questions
from sizeup_loadtest.analysis.intervals import MIN_BLOCKS
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.clock import SECOND_NS
from sizeup_loadtest.execution.sending.load_generator import keep_all
from sizeup_loadtest.storage.run_folder import AbilityFile
from sizeup_loadtest.workload import budget, schedule
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

STAGE = "ability"


async def run(run: Run) -> None:
    """Send all questions, in as many blocks as an interval needs, and grade the outputs.

    Results are written after every block, so a stopped run keeps those of complete blocks.
    """
    items = questions(run.config.ability)
    prompts = {item.key: Prompt(item.key, item.messages) for item in items}
    prompts[schedule.PRELOAD.key] = schedule.PRELOAD
    records: dict[str, list[Record]] = {model: [] for model in run.models}
    grades: dict[str, dict[str, Grade]] = {model: {} for model in run.models}
    asked = 0
    for block in range(MIN_BLOCKS):
        part, models = _next(run, items[asked:], block, records)
        asked += len(part)
        for model in schedule.order(models, block) if part else ():
            if not run.out_of_time():
                segment = _segment(run, model, [prompts[item.key] for item in part], block)
                new = await run.load(segment, prompts, keep_all)
                records[model] += new
                # In a thread: the search for a pattern may take a moment.
                grades[model] |= await asyncio.to_thread(score.grades, part, new)
        run.folder.write_json("ability", results(items, records, grades))
    for model, of_model in records.items():
        if run.has_budget and len(of_model) < asked:
            run.notes.append(
                f"{model}: too slow for more than {len(of_model)} of {asked} questions"
            )


def _next(
    run: Run, items: Sequence[Item], block: int, records: Mapping[str, Sequence[Record]]
) -> tuple[Sequence[Item], Sequence[str]]:
    """Return the questions of the next block and the models that are asked."""
    blocks, models = MIN_BLOCKS - block, run.models
    most = -(-len(items) // blocks)
    if not run.has_budget:
        return items[:most], models
    seconds = {model: _question_seconds(run, model, records[model]) for model in models}
    count, asked = budget.questions(run.seconds_left, blocks, seconds, most)
    return items[:count], [model for model in models if model in asked]


def _question_seconds(run: Run, model: str, records: Sequence[Record]) -> float:
    """Return the time of a question; before the first, a quarter of a response of one user.

    Concurrent questions share a server's time, and most of their answers are short.
    """
    if not records:
        return run.pace.expected(model, 1) / 4
    last = [record for record in records if record.planned.block == records[-1].planned.block]
    seconds = max(r.ended_ns for r in last) - min(r.sent_ns for r in last)
    return seconds / SECOND_NS / len(last)


def results(
    items: Sequence[Item],
    records: Mapping[str, Sequence[Record]],
    grades: Mapping[str, Mapping[str, Grade]],
) -> AbilityFile:
    """Summarise every model; one without any answer is left out."""
    found = {
        model: result
        for model, of_model in records.items()
        if (result := score.result(items, of_model, grades[model]))
    }
    return AbilityFile(results=found, paired=score.pairs(grades))


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
