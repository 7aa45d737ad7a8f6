"""A run from its first request to its folder: what every phase shares, and the phases in turn."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from sys import maxsize

from rich.console import Console

from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import Shard, api_key
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.data.results import ModelInfo, Results
from sizeup_loadtest.errors import BenchError, ConfigError
from sizeup_loadtest.execution import server_info
from sizeup_loadtest.execution.client_environment import environment, tool_version
from sizeup_loadtest.execution.client_lag import LoopLagSampler, sample_loop_lag
from sizeup_loadtest.execution.clock import Clock
from sizeup_loadtest.execution.live_view import LiveView
from sizeup_loadtest.execution.load_generator import Loader, is_sample, run_segment, sleep_until
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder, RunInfo
from sizeup_loadtest.workload.prompts import Prompt
from sizeup_loadtest.workload.schedule import Plan, Segment, share

_SECOND_NS = 1_000_000_000


class StoppedError(BenchError):
    """The run was stopped from outside."""

    exit_code = 130


@dataclass(slots=True)
class Run:
    """What a phase works with."""

    config: Config
    plan: Plan
    client: Client
    clock: Clock
    folder: RunFolder
    recorder: Recorder
    view: LiveView
    console: Console
    shard: Shard
    lag: LoopLagSampler
    model_info: dict[str, ModelInfo] = field(default_factory=dict)
    load_seconds: dict[str, float] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """Sizes that do not answer, and why; nothing more is sent to them."""
    response_ns: dict[Hashable, int] = field(default_factory=dict)
    """How long an answer of a kind takes, in the fastest segment so far."""

    @property
    def deadline_ns(self) -> int:
        """Return when the run must stop sending."""
        return round(self.config.limits.max_minutes * 60 * _SECOND_NS)

    @property
    def models(self) -> Sequence[str]:
        """Return the names of the sizes that are measured."""
        names = [model.name for model in self.config.models]
        return [name for name in names if name not in self.broken]

    async def load(
        self,
        segment: Segment,
        prompts: Mapping[str, Prompt],
        keep_text: Callable[[PlannedRequest], bool] | None = None,
        client: Client | None = None,
    ) -> list[Record]:
        """Send a segment, or this shard's part of it; its records are written as they come.

        Answers' texts are kept where a report shows them, or where `keep_text` says
        (`load.keep_all`: everywhere).
        """
        if segment.model in self.broken:
            return []
        keep = keep_text or _shown
        first = segment.requests[0]
        kind = (segment.model, segment.stage.words, first.length, first.max_tokens)
        known = self.response_ns.get(kind, 0)
        loader = Loader(client or self.client, self, self.clock, self.deadline_ns, keep, known)
        with self.lag.during(segment.stage.key):
            records = await run_segment(share(segment, self.shard), prompts, loader)
        self.recorder.flush()
        times = [r.ended_ns - r.sent_ns for r in records if r.outcome is Outcome.OK]
        if times:
            self.response_ns[kind] = min(round(median(times)), known or maxsize)
        return records

    async def at_slot(self, number: int) -> None:
        """With several shards, wait until a segment's own time, so that they run it together."""
        seconds = self.config.load.stage_seconds
        if self.shard.count > 1 and seconds is not None:
            slot = round((seconds + self.config.load.drain_seconds) * _SECOND_NS)
            await sleep_until(number * slot, self.clock)

    def over(self) -> bool:
        """Tell whether the run's time is over."""
        return self.clock() > self.deadline_ns

    def began(self, segment: Segment) -> None:
        """Show that a segment begins."""
        self.view.began(segment)

    def sent(self, request: Request) -> None:
        """Show that a request is sent."""
        self.view.sent(request)

    def ended(self, record: Record) -> None:
        """Write a record and show it."""
        self.recorder.add(record)
        self.view.ended(record)


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run. A module in `phases/` offers one as PHASE; `order` says when it runs."""

    name: str
    order: int
    run: Callable[[Run], Awaitable[None]]
    wanted: Callable[[Config], bool] = lambda config: True
    by_shards: bool = False
    """Whether several shards run it beside each other; else one process alone does."""


@dataclass(frozen=True, slots=True)
class Finisher:
    """What is made from results. A module in `phases/` offers one as FINISHER."""

    name: str
    run: Callable[[RunFolder, Results], Sequence[Path]]
    """Writes files and names them."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a run is made."""

    folder: RunFolder
    console: Console
    shard: Shard = field(default_factory=Shard)
    start_at: float | None = None
    """Unix seconds: the common start of several shards."""


async def execute(config: Config, plan: Plan, phases: Sequence[Phase], place: RunOptions) -> None:
    """Run phases in their order; the folder has everything afterwards but results.

    Stopped by SIGTERM or Ctrl-C it keeps what it has, and raises StoppedError.
    """
    if place.shard.count > 1 and config.load.stage_seconds is None:
        raise ConfigError("load.stage_seconds: several shards need it, to keep in step")
    clock = Clock(place.start_at)
    key = api_key(config.target.api_key_env)
    place.folder.begin(config, plan)
    started = datetime.now(UTC)
    view = LiveView(place.console, [m.name for m in config.models], plan.requests, config.slo)
    client = Client(config.target, config.sampling, clock, key=key, shard=place.shard.index)
    complete = False
    with place.folder.recorder() as recorder:
        async with client, sample_loop_lag(clock) as lag:
            run = Run(
                config,
                plan,
                client,
                clock,
                place.folder,
                recorder,
                view,
                place.console,
                place.shard,
                lag,
            )
            try:
                with view:
                    await server_info.check_names(client.session, config.target.url, run.models)
                    await _phases(run, phases)
                complete = True
            finally:
                place.folder.write_json("run", _info(run, lag, started, complete))


async def _phases(run: Run, phases: Sequence[Phase]) -> None:
    async with _stoppable():
        for phase in sorted(phases, key=lambda phase: phase.order):
            if phase.wanted(run.config) and (run.shard.count == 1 or phase.by_shards):
                await phase.run(run)


@asynccontextmanager
async def _stoppable() -> AsyncIterator[None]:
    """Turn SIGINT and SIGTERM into StoppedError where the block is."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    told: list[str] = []

    def stop(name: str) -> None:
        told.append(name)
        if task is not None:
            task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop, number.name)
    try:
        yield
    except asyncio.CancelledError:
        if not told:
            raise
        raise StoppedError(f"stopped by {told[0]}; what was measured is kept") from None
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _shown(planned: PlannedRequest) -> bool:
    return not planned.warm_up and is_sample(planned)


def _info(run: Run, lag: LoopLagSampler, started: datetime, complete: bool) -> RunInfo:
    return RunInfo(
        tool_version=tool_version(),
        started_at=started.isoformat(timespec="seconds"),
        seconds=(datetime.now(UTC) - started).total_seconds(),
        environment=environment(),
        loop_lag=lag.lag(),
        stage_lag=lag.stages(),
        model_info=run.model_info,
        load_seconds=run.load_seconds,
        broken=run.broken,
        shards=run.shard.count,
        complete=complete,
    )
