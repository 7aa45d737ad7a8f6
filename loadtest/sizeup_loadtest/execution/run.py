"""The state of a run, which its phases share."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from sys import maxsize

from rich.console import Console

from sizeup_loadtest.analysis import validity
from sizeup_loadtest.analysis.stages.latency import frequent_errors
from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.execution.progress.live_view import LiveView
from sizeup_loadtest.execution.sending import open_stage
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler
from sizeup_loadtest.execution.sending.clock import SECOND_NS, Clock
from sizeup_loadtest.execution.sending.failures import FailureStreak
from sizeup_loadtest.execution.sending.load_generator import (
    Send,
    SendContext,
    Share,
    is_sample,
    preload,
    run_segment,
)
from sizeup_loadtest.execution.sending.worker_pool import LEAD_NS, WorkerPool
from sizeup_loadtest.execution.servers.server_metrics import ServerMetricsSampler
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder
from sizeup_loadtest.workload import budget
from sizeup_loadtest.workload.budget import Pace
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import PRELOAD, Plan, Segment, Stage


@dataclass(slots=True)
class Run:
    config: Config
    plan: Plan
    client: Client
    clock: Clock
    folder: RunFolder
    recorder: Recorder
    view: LiveView
    console: Console
    lag: LoopLagSampler
    server_metrics: ServerMetricsSampler = field(default_factory=lambda: ServerMetricsSampler({}))
    model_info: dict[str, ModelInfo] = field(default_factory=dict)
    load_seconds: dict[str, float] = field(default_factory=dict)
    invalid_models: dict[str, str] = field(default_factory=dict)
    """Models that do not respond, with the reason; no more requests are sent to them."""
    phase_end_ns: int = maxsize
    """Time at which the current phase ends, where the run has a budget."""
    pace: Pace = field(default_factory=Pace)
    notes: list[str] = field(default_factory=list)
    """What was left out because of the budget."""
    answered: dict[tuple[str, Stage], list[Record]] = field(default_factory=dict)
    """Records of the speed phase, for the capacity search of a run with a budget."""
    response_ns: dict[tuple[object, ...], int] = field(default_factory=dict)
    """Latency by kind of request, in the fastest segment so far."""
    workers: WorkerPool | None = None
    """Processes that send in place of this one."""
    _streaks: dict[str, FailureStreak] = field(default_factory=lambda: defaultdict(FailureStreak))
    _segment: list[Record] = field(default_factory=list)
    """Requests of the current segment that have ended, in this order."""

    @property
    def deadline_ns(self) -> int:
        """Time at which the run stops sending."""
        return round(self.config.limits.max_minutes * 60 * SECOND_NS)

    @property
    def has_budget(self) -> bool:
        return self.config.limits.budget_minutes is not None

    def begin_phase(self, name: str, later: Collection[str]) -> None:
        """Set the time of a phase, where the run has a budget."""
        minutes = self.config.limits.budget_minutes
        self.phase_end_ns = maxsize
        if minutes is not None and name in budget.SHARES:
            left = max(0.0, minutes * 60 - self.clock() / SECOND_NS)
            seconds = budget.phase_seconds(name, later, left)
            self.phase_end_ns = self.clock() + round(seconds * SECOND_NS)

    @property
    def seconds_left(self) -> float:
        """Return what is left of the phase."""
        return (min(self.phase_end_ns, self.deadline_ns) - self.clock()) / SECOND_NS

    @property
    def models(self) -> Sequence[str]:
        """Names of the models that are measured."""
        names = [model.name for model in self.config.models]
        return [name for name in names if name not in self.invalid_models]

    async def load(
        self,
        segment: Segment,
        prompts: Mapping[str, Prompt],
        keep_text: Callable[[PlannedRequest], bool] | None = None,
        send: Send | None = None,
    ) -> list[Record]:
        """Send a segment; return its records, in order of completion, which are written as well.

        The text of an output is kept where `keep_text` is true, by default where a report shows it.
        `send` sends from this process, in place of the run's client or workers.
        """
        if segment.model in self.invalid_models:
            return []
        self.view.began(segment)
        first = segment.requests[0]
        # Lengths of a distribution differ by block, by less than a power of two.
        tokens = round(fmean(r.max_tokens for r in segment.requests)).bit_length()
        kind = (segment.model, segment.stage.words, first.length, tokens)
        known = self.response_ns.get(kind, 0)
        deadline = min(self.deadline_ns, self.phase_end_ns)
        share = Share(segment, prompts, self.clock(), deadline, keep_text or is_sample, known)
        stopped = self.invalid_models.__contains__
        context = SendContext(send or self.client.send, self, self.clock, stopped)
        stage = segment.stage.key
        async with self.server_metrics.during(segment.model, stage):
            with self.lag.during(stage):
                await preload(share, context)
                records = self._segment = []
                await self._send(share, context, None if send else self.workers)
        self.recorder.flush()
        times = [r.ended_ns - r.sent_ns for r in records if r.outcome is Outcome.OK]
        if times:
            self.response_ns[kind] = min(round(median(times)), known or maxsize)
            self.pace.learn(segment.model, segment.stage.level, median(times) / SECOND_NS)
        return records

    async def _send(self, share: Share, context: SendContext, pool: WorkerPool | None) -> None:
        lead, segment = 0, share.segment
        if pool is not None:
            lead = LEAD_NS
            await pool.ready()

        async def send(part: Segment, began_ns: int) -> None:
            own = replace(share, segment=part, began_ns=began_ns)
            if pool is None:
                await run_segment(own, context)
            else:
                await pool.run(own, self.client.servers[part.model])

        if segment.stage.mode == "open":
            # Else that of another kind of request.
            known = (ns for kind, ns in self.response_ns.items() if segment.model in kind)
            response = share.response_ns or max(known, default=0)
            await open_stage.run(segment, send, self._segment, self.clock, response, lead)
        else:
            await send(segment, self.clock() + lead)

    def stop_model(self, model: str, reason: str) -> None:
        self.invalid_models[model] = reason
        if self.workers is not None:
            self.workers.stop_model(model)

    def out_of_time(self) -> bool:
        return self.seconds_left < 0

    def sent(self, request: Request) -> None:
        self.view.sent(request)

    def ended(self, record: Record) -> None:
        self.recorder.add(record)
        self.view.ended(record)
        if record.planned.prompt != PRELOAD.key:
            self._segment.append(record)
        model, streak = record.planned.model, self._streaks[record.planned.model]
        if streak.add(record) and model not in self.invalid_models:
            cause = validity.most_frequent(frequent_errors(streak.failures))
            self.stop_model(model, f"stopped after {streak.length} failures in a row{cause}")
