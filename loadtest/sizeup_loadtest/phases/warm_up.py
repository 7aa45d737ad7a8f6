"""The first requests of every size, which no figure counts: they load it and show that it answers.

Where the server has Ollama's API, the very first goes there, because it says how long loading took.
"""

from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.settings import api_key
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.errors import TargetError
from sizeup_loadtest.execution import server_info
from sizeup_loadtest.execution.run import Phase, Run
from sizeup_loadtest.workload.prompts import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

COLD = Stage("cold-start", "closed", 1, "until_eos")

LOADED_SECONDS = 0.05
"""Less than this is looking a loaded model up."""

_NS = 1e-9


async def run(run: Run) -> None:
    """Load, warm and describe every size; TargetError when none answers.

    One that does not is told and left alone; the others are measured.
    """
    names = run.models
    await _cold_starts(run)
    for segment in run.plan.warm_up:
        records = await run.load(segment, run.plan.prompts)
        if records and all(record.outcome is not Outcome.OK for record in records):
            first = records[0]
            run.broken[segment.model] = f"it does not answer: {first.outcome}: {first.error}"
    if not run.models:
        raise TargetError("; ".join(f"{name}: {why}" for name, why in run.broken.items()))
    run.model_info |= await server_info.model_info(run.client.session, run.config.target.url, names)


async def _cold_starts(run: Run) -> None:
    target = run.config.target.model_copy(update={"api": "ollama"})
    if not await server_info.has_ollama(run.client.session, target.url):
        return
    key = api_key(target.api_key_env)
    async with Client(target, run.config.sampling, run.clock, key=key) as client:
        for model in run.models:
            segment, prompt = _probe(model)
            for record in await run.load(segment, {prompt.key: prompt}, client=client):
                _note(run, record)


def _probe(model: str) -> tuple[Segment, Prompt]:
    prompt = Prompt(COLD.key, (ChatMessage("user", "Hello"),))
    planned = PlannedRequest(0, 0, model, prompt.key, 1, "until_eos", None, warm_up=True)
    return Segment(COLD, 0, model, (planned,)), prompt


def _note(run: Run, record: Record) -> None:
    if record.server is not None and record.server.load * _NS >= LOADED_SECONDS:
        run.load_seconds[record.planned.model] = record.server.load * _NS


PHASE = Phase("warm_up", 0, run, by_shards=True)
