"""Warm-up: the first requests of every model, which load it and check that it responds.

Where the server has Ollama's API, the very first one uses it, because it reports the load time.
"""

from collections.abc import Mapping
from dataclasses import replace

from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Length, Outcome, PlannedRequest, Record
from sizeup_loadtest.errors import TargetError
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.servers import server_info
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage

COLD_START = Stage("cold-start", "closed", 1, "until_eos")

TRIES = 3
"""Warm-ups of a model, each of `load.warmup` requests, after which it does not respond."""

MIN_LOAD_SECONDS = 0.05
"""Below it, the model was already loaded."""

_NS = 1e-9


async def run(run: Run) -> None:
    """Load, warm up and describe every model; TargetError when none responds.

    A model that does not respond is marked invalid, and the others are measured.
    """
    names = run.models
    await _cold_starts(run)
    planned = {segment.model: segment for segment in run.plan.warm_up}
    for model in names:
        probe, prompt = _probe(model, run.config.lengths[0])
        prompts = {**run.plan.prompts, prompt.key: prompt}
        await _warm_up(run, planned.get(model, probe), prompts)
    if not run.models:
        raise TargetError("; ".join(f"{name}: {why}" for name, why in run.invalid_models.items()))
    for name in names:
        server = run.client.servers[name]
        run.model_info[name] = await server_info.model_info(run.client.session, server)


async def _warm_up(run: Run, segment: Segment, prompts: Mapping[str, Prompt]) -> None:
    """Send a warm-up until a request of it succeeds; what is refused, as without a key, stays so.

    A single other error may be chance.
    """
    records: list[Record] = []
    for _ in range(TRIES):
        records = await run.load(segment, prompts, send=run.client.send_adapted)
        outcomes = {record.outcome for record in records}
        if not records or Outcome.OK in outcomes:
            return
        if outcomes == {Outcome.REFUSED}:
            break
    first = records[0]
    run.stop_model(segment.model, f"no response: {first.outcome}: {first.error}")


async def _cold_starts(run: Run) -> None:
    servers = {name: _by_ollama(run.client.servers[name]) for name in run.models}
    async with Client(servers, run.config.sampling, run.clock) as client:
        for model, server in servers.items():
            if await server_info.has_ollama_api(client.session, server):
                segment, prompt = _probe(model, "until_eos")
                for record in await run.load(segment, {prompt.key: prompt}, send=client.send):
                    seconds = record.server.load * _NS if record.server else 0
                    if seconds >= MIN_LOAD_SECONDS:
                        run.load_seconds[model] = seconds


def _by_ollama(server: Server) -> Server:
    extra = server.extra_body if server.api == "ollama" else {}
    return replace(server, api="ollama", extra_body=extra)


def _probe(model: str, length: Length) -> tuple[Segment, Prompt]:
    prompt = Prompt(COLD_START.key, (ChatMessage("user", "Hello"),))
    planned = PlannedRequest(0, 0, model, prompt.key, 1, length, None, warm_up=True)
    return Segment(COLD_START, 0, model, (planned,)), prompt
