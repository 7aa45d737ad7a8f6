"""Warm-up: the first requests of every model, which load it and check that it responds.

Where the server has Ollama's API, the very first one uses it, because it reports the load time.
"""

from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.settings import api_key
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.errors import TargetError
from sizeup_loadtest.execution import server_info
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

COLD_START = Stage("cold-start", "closed", 1, "until_eos")

MIN_LOAD_SECONDS = 0.05
"""Below it, the model was already loaded."""

_NS = 1e-9


async def run(run: Run) -> None:
    """Load, warm up and describe every model; TargetError when none responds.

    A model that does not respond is marked invalid, and the others are measured.
    """
    names = run.models
    await _cold_starts(run)
    for segment in run.plan.warm_up:
        records = await run.load(segment, run.plan.prompts)
        if records and all(record.outcome is not Outcome.OK for record in records):
            first = records[0]
            run.invalid_models[segment.model] = f"no response: {first.outcome}: {first.error}"
    if not run.models:
        raise TargetError("; ".join(f"{name}: {why}" for name, why in run.invalid_models.items()))
    run.model_info |= await server_info.model_info(run.client.session, run.config.target.url, names)


async def _cold_starts(run: Run) -> None:
    target = run.config.target.model_copy(update={"api": "ollama"})
    if not await server_info.has_ollama_api(run.client.session, target.url):
        return
    key = api_key(target.api_key_env)
    async with Client(target, run.config.sampling, run.clock, key=key) as client:
        for model in run.models:
            segment, prompt = _probe(model)
            for record in await run.load(segment, {prompt.key: prompt}, client=client):
                _note_load_time(run, record)


def _probe(model: str) -> tuple[Segment, Prompt]:
    prompt = Prompt(COLD_START.key, (ChatMessage("user", "Hello"),))
    planned = PlannedRequest(0, 0, model, prompt.key, 1, "until_eos", None, warm_up=True)
    return Segment(COLD_START, 0, model, (planned,)), prompt


def _note_load_time(run: Run, record: Record) -> None:
    if record.server is not None and record.server.load * _NS >= MIN_LOAD_SECONDS:
        run.load_seconds[record.planned.model] = record.server.load * _NS
