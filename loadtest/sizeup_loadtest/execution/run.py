"""The state of a run, which its phases share."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from sys import maxsize

from rich.console import Console

from sizeup_loadtest.client.http import Client, Request
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import Shard
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.execution.client_lag import LoopLagSampler
from sizeup_loadtest.execution.clock import SECOND_NS, Clock, sleep_until
from sizeup_loadtest.execution.live_view import LiveView
from sizeup_loadtest.execution.load_generator import SendContext, Sender, is_sample, run_segment
from sizeup_loadtest.execution.server_metrics import ServerMetricsSampler
from sizeup_loadtest.storage.run_folder import Recorder, RunFolder
from sizeup_loadtest.workload import budget
from sizeup_loadtest.workload.budget import Pace
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Plan, Segment, Stage, share


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How this process takes part in a run."""

    shard: Shard = field(default_factory=Shard)
    start_at: float | None = None
    """Common start of all shards, as Unix time in seconds."""
    print_files: bool = False
    """Print the run's files to standard output, for a Job whose log is its only storage."""


@dataclass(slots=True)
class Run:
    """The context of a phase."""

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
    response_ns: dict[Hashable, int] = field(default_factory=dict)
    """Latency by kind of request, in the fastest segment so far."""

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
        client: Sender | None = None,
    ) -> list[Record]:
        """Send this shard's part of a segment; records are written as requests end.

        The text of an output is kept where `keep_text` is true, by default where a report shows it.
        """
        if segment.model in self.invalid_models:
            return []
        first = segment.requests[0]
        # Lengths of a distribution differ by block, by less than a power of two.
        tokens = round(fmean(r.max_tokens for r in segment.requests)).bit_length()
        kind = (segment.model, segment.stage.words, first.length, tokens)
        known = self.response_ns.get(kind, 0)
        context = SendContext(
            client or self.client,
            self,
            self.clock,
            min(self.deadline_ns, self.phase_end_ns),
            keep_text or _is_shown,
            known,
        )
        stage = segment.stage.key
        async with self.server_metrics.during(segment.model, stage):
            with self.lag.during(stage):
                records = await run_segment(share(segment, self.shard), prompts, context)
        self.recorder.flush()
        times = [r.ended_ns - r.sent_ns for r in records if r.outcome is Outcome.OK]
        if times:
            self.response_ns[kind] = min(round(median(times)), known or maxsize)
            self.pace.learn(segment.model, segment.stage.level, median(times) / SECOND_NS)
        return records

    async def wait_for_slot(self, number: int) -> None:
        """With several shards, wait for the common start time of a segment."""
        seconds = self.config.load.stage_seconds
        if self.shard.count > 1 and seconds is not None:
            slot = round((seconds + self.config.load.drain_seconds) * SECOND_NS)
            await sleep_until(number * slot, self.clock)

    def out_of_time(self) -> bool:
        return self.seconds_left < 0

    def began(self, segment: Segment) -> None:
        self.view.began(segment)

    def sent(self, request: Request) -> None:
        self.view.sent(request)

    def ended(self, record: Record) -> None:
        self.recorder.add(record)
        self.view.ended(record)


def _is_shown(planned: PlannedRequest) -> bool:
    return not planned.warm_up and is_sample(planned)
