import asyncio
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import cast

from rich.console import Console

from loadtest.recording import MS, failed, record
from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.execution.progress.live_view import LiveView
from sizeup_loadtest.execution.progress.time_left import TimeLeft
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler
from sizeup_loadtest.execution.sending.clock import SECOND_NS, Clock
from sizeup_loadtest.execution.sending.load_generator import Share
from sizeup_loadtest.execution.sending.worker_pool import LEAD_NS, WorkerPool
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder
from sizeup_loadtest.workload import prompts, schedule

CONFIG = Config.model_validate({"models": ["m"], "length": "fixed", "load": {"closed": [1]}})
PLAN = schedule.compile_plan(CONFIG, prompts.source(CONFIG.prompts))


class FixedLatencySender:
    """Responds with the given latencies in milliseconds, without waiting."""

    def __init__(self, *times: int) -> None:
        self._times = [*times]

    async def send(self, request: Request) -> Record:
        latency = self._times.pop(0)
        result = record(first=latency, tokens=1, tail=0)
        return result if latency else failed(result, Outcome.BUSY)


def a_run(tmp_path: Path, *times: int) -> Run:
    console, clock = Console(file=StringIO()), Clock()
    return Run(
        CONFIG,
        PLAN,
        cast(Client, FixedLatencySender(*times)),
        clock,
        RunFolder(tmp_path),
        Recorder(BytesIO()),
        LiveView(console, ["m"], CONFIG.slo, TimeLeft({}, 0), clock),
        console,
        LoopLagSampler(),
    )


def known_latencies(tmp_path: Path, *segments: tuple[int, ...]) -> list[int]:
    """Send segments with these latencies; return the known latency after each."""
    run = a_run(tmp_path, *(latency for times in segments for latency in times))
    whole, known = PLAN.segments[0], []
    for times in segments:
        part = replace(whole, requests=whole.requests[: len(times)])
        asyncio.run(run.load(part, PLAN.prompts))
        known.append(max(run.response_ns.values(), default=0) // MS)
    return known


def test_the_undisturbed_latency_is_that_of_the_fastest_segment(tmp_path: Path) -> None:
    assert known_latencies(tmp_path, (0, 0), (300, 200, 400), (900, 900), (0, 100)) == [
        0,
        300,
        300,
        100,
    ]


def test_a_segment_is_due_when_every_worker_has_started(tmp_path: Path) -> None:
    run, calls = a_run(tmp_path), list[str]()

    class Starting:
        async def ready(self) -> None:
            calls.append("ready")
            run.clock = lambda: 60 * SECOND_NS  # type: ignore[assignment]

        async def run(self, share: Share, server: Server) -> None:
            calls.append(f"due {share.began_ns}")

    run.workers = cast(WorkerPool, Starting())
    run.client.servers = {"m": Server("http://server", "m")}
    asyncio.run(run.load(PLAN.segments[0], PLAN.prompts))
    assert calls == ["ready", f"due {60 * SECOND_NS + LEAD_NS}"]
