"""Send a load to the mock server, and pair the records of client and server.

Both run on one event loop and one clock, so a slow machine affects both: a chunk is read in the
next iteration of the loop after it was written.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns

from loadtest.mock import Behaviour, MockModel, MockServer, ServedRequest
from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.client.retry import RetryPolicy
from sizeup_loadtest.config.schema import Config, Mode, Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api, Length, Outcome, PlannedRequest, Record
from sizeup_loadtest.execution.sending.load_generator import (
    SendContext,
    Share,
    keep_all,
    run_segment,
)
from sizeup_loadtest.workload import arrivals, prompts
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Segment, Stage, compile_plan, with_ramp

RESOLUTION = 0.02
"""Allowed deviation of a median in seconds: ten times that on a busy machine."""
MODEL = MockModel("m", ttft_seconds=0.08, gap_seconds=0.005, parallel=2, tokens=13)


NO_RETRIES = RetryPolicy(limit=0)


class NullObserver:
    """Ignores every event."""

    def sent(self, request: Request) -> None:
        pass

    def ended(self, record: Record) -> None:
        pass


@dataclass(frozen=True)
class LoadCase:
    """The load of a test."""

    level: float
    requests: int
    rate: bool = False
    """Open loop, at a constant rate."""
    ramp: bool = False
    """Closed loop: ramp-up and ramp-down are marked, as in a run."""
    length: Length = "until_eos"
    max_tokens: int = 64
    api: Api = "openai"
    timeout: float = 60
    retry: RetryPolicy = NO_RETRIES


@dataclass(frozen=True)
class Seen:
    """One request as seen by client and server."""

    record: Record
    truth: ServedRequest


def run_load(behaviour: Behaviour, load: LoadCase, model: str = "m") -> list[Seen]:
    """Send a load; return its requests in send order."""
    return asyncio.run(_send_load(behaviour, load, model))


async def _send_load(behaviour: Behaviour, load: LoadCase, model: str) -> list[Seen]:
    async with MockServer(behaviour) as server:
        sent_to = Server(server.url, model, load.api, timeout_seconds=load.timeout)
        servers = {model: sent_to}
        async with Client(servers, Sampling(), perf_counter_ns, retry=load.retry) as client:
            sent = {
                f"p{i}": Prompt(f"p{i}", (ChatMessage("user", f"p{i}"),))
                for i in range(load.requests)
            }
            share = Share(segment(load, model), sent, perf_counter_ns(), 2**62, keep_all)
            records = await run_segment(
                share, SendContext(client.send, NullObserver(), perf_counter_ns)
            )
    ordered = sorted(records, key=lambda r: r.planned.index)
    return [Seen(r, server.truth.of(r.planned.prompt)) for r in ordered]


def run_plan(config: Config, behaviour: Behaviour) -> tuple[list[Record], list[ServedRequest]]:
    """Send the plan of a config; return the requests as seen by the client, and by the server."""

    async def send() -> tuple[list[Record], list[ServedRequest]]:
        plan = compile_plan(config, prompts.source(config.prompts))
        async with (
            MockServer(behaviour) as server,
            Client(_servers(config, server), Sampling(), perf_counter_ns) as client,
        ):
            loader = SendContext(client.send, NullObserver(), perf_counter_ns)
            records = [
                record
                for part in plan.segments
                for record in await run_segment(
                    Share(part, plan.prompts, perf_counter_ns(), 2**62, keep_all), loader
                )
            ]
        return records, [*server.truth]

    return asyncio.run(send())


def _servers(config: Config, server: MockServer) -> dict[str, Server]:
    target = config.target.model_copy(update={"url": server.url})
    return config.model_copy(update={"target": target}).servers


def segment(load: LoadCase, model: str) -> Segment:
    """Plan a load."""
    mode: Mode = "open" if load.rate else "closed"
    stage = Stage("s", mode, load.level, load.length, "constant" if load.rate else None)
    offsets: Sequence[int | None] = [None] * load.requests
    if load.rate:
        offsets = arrivals.offsets("constant", load.level, load.requests / load.level, "")
    planned = (
        PlannedRequest(i, 0, model, f"p{i}", load.max_tokens, load.length, offset)
        for i, offset in enumerate(offsets)
    )
    made = Segment(stage, 0, model, tuple(planned))
    return with_ramp(made) if load.ramp else made


def fine(seen: Sequence[Seen]) -> list[Seen]:
    """Return the successful requests."""
    return [s for s in seen if s.record.outcome is Outcome.OK]


def off(pairs: Sequence[tuple[float | None, float]]) -> float:
    """Return the median absolute deviation from the truth."""
    return median(abs(figure - truth) for figure, truth in pairs if figure is not None)
