"""The search for the maximum load of every model; models take turns, one load each."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import ceil

from sizeup_loadtest.analysis.stages import capacity, latency
from sizeup_loadtest.analysis.stages.capacity import Bounds
from sizeup_loadtest.config.schema import Config, Mode, Slo
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import CapacityPoint, CapacityResult
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.storage.run_folder import CapacityFile
from sizeup_loadtest.workload import arrivals, prompts, schedule
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.prompts import PromptSource
from sizeup_loadtest.workload.schedule import Segment, Stage

_FIRST_PROMPT = 1_000_000
"""Index of the first prompt: lower ones may be in the server's prefix cache."""
_SINGLE_STREAM_REQUESTS = 3
"""To learn the latency of an undisturbed response."""
_FIRST_REQUESTS = 200
"""Of a closed loop while the latency is unknown."""
_MAX_REQUESTS = 20_000
"""Per load: their raw times are held in memory."""
_MAX_LOADS = 40
"""Doubling to 10,000 and bisecting to a tenth takes 19."""

RunLevel = Callable[[float, int], Awaitable[Sequence[Record]]]
"""Sends one load and returns its records; the second argument counts earlier tries of it."""


async def run(run: Run) -> None:
    """Search every model; results so far are kept when the run is stopped or out of time.

    The models take turns, so that a temporarily slow machine affects all of them.
    """
    results = {}
    searches = {model: await _begin(run, model) for model in run.models}
    while searches:
        for model, search in tuple(searches.items()):
            if not await search.step():
                del searches[model]
            results[model] = search.result()
            run.folder.write_json("capacity", CapacityFile(results=results))


async def _begin(run: Run, model: str) -> "CapacitySearch":
    levels = LoadLevels(run.config, model, prompts.source(run.config.prompts))
    if run.config.capacity.mode == "open":
        levels.learn(await run.load(levels.single_stream(), levels.prompts))

    async def run_level(level: float, attempt: int) -> Sequence[Record]:
        if run.out_of_time():
            return []
        records = await run.load(levels.segment(level, attempt), levels.prompts)
        levels.learn(records)
        return records

    return CapacitySearch(run_level, levels.bounds, run.config.slo, _known(run, model))


def _known(run: Run, model: str) -> Sequence[CapacityPoint]:
    """Return the loads of the speed phase, where they are the same work: time is limited."""
    mode, length = run.config.capacity.mode, run.config.lengths[0]
    return [
        capacity.point(records, mode, stage.level, run.config.slo)
        for (name, stage), records in run.answered.items()
        if name == model and (stage.mode, stage.length) == (mode, length) and records
    ]


class CapacitySearch:
    """The search of one model, one load per step."""

    def __init__(
        self, run_level: RunLevel, bounds: Bounds, slo: Slo, known: Sequence[CapacityPoint] = ()
    ) -> None:
        self._run_level = run_level
        self._bounds = bounds
        self._slo = slo
        self._points = {point.level: point for point in known if point.level <= bounds.most}
        self._interrupted = False

    async def step(self) -> bool:
        """Try the next load, with retries; False when the search is done."""
        level = self._next()
        if level is None:
            return False
        records: list[Record] = []
        for attempt in range(capacity.TRIES):
            new = await self._run_level(level, attempt)
            self._interrupted = not new  # out of time
            if self._interrupted:
                return False
            records += new
            point = capacity.point(records, self._bounds.mode, level, self._slo)
            self._points[level] = point
            if not capacity.needs_retry(point, self._bounds.target, attempt + 1):
                break
        return True

    def result(self) -> CapacityResult:
        finished = not self._interrupted and self._next() is None
        return capacity.result(tuple(self._points.values()), self._bounds, finished)

    def _next(self) -> float | None:
        if len(self._points) >= _MAX_LOADS:
            return None
        return capacity.next_level(list(self._points.values()), self._bounds)


@dataclass(slots=True)
class LoadLevels:
    """Plans the loads of one model's search, each with new prompts."""

    config: Config
    model: str
    source: PromptSource
    prompts: dict[str, Prompt] = field(
        default_factory=lambda: {schedule.PRELOAD.key: schedule.PRELOAD}
    )
    """Every prompt used so far, by key."""
    _indices: Iterator[int] = field(default_factory=lambda: count(_FIRST_PROMPT))
    _fastest: float | None = None

    @property
    def bounds(self) -> Bounds:
        config = self.config.capacity
        first = capacity.first_rate(self._fastest) if config.mode == "open" else 1
        return Bounds(config.mode, self.config.slo.attainment, config.max, first)

    def single_stream(self) -> Segment:
        """Plan one request at a time: the bounds of an open loop depend on its latency."""
        return self._segment(self._stage("closed", 1), 0, _SINGLE_STREAM_REQUESTS)

    def segment(self, level: float, attempt: int) -> Segment:
        """Plan one load, with enough requests for its duration."""
        stage, seconds = self._stage(self.config.capacity.mode, level), self._seconds()
        if stage.mode == "closed":
            return self._segment(stage, attempt, self._count(level))
        offsets = schedule.open_offsets(self.config, stage, seconds, attempt)[:_MAX_REQUESTS]
        return self._segment(stage, attempt, len(offsets), offsets)

    def _stage(self, mode: Mode, level: float) -> Stage:
        config, words = self.config, schedule.prompt_words(self.config)[0]
        arrival = config.load.open.arrival if mode == "open" else None
        key = capacity.stage_key(mode, level)
        return Stage(key, mode, level, config.lengths[0], arrival, words)

    def _segment(
        self, stage: Stage, attempt: int, requests: int, offsets: Sequence[int] | None = None
    ) -> Segment:
        config = self.config
        taken = [self.source(next(self._indices), stage.words) for _ in range(requests)]
        self.prompts |= {prompt.key: prompt for prompt in taken}
        segment = schedule.build_segment(config, stage, self.model, taken, attempt, offsets)
        segment = replace(schedule.with_ramp(segment), seconds=self._seconds())
        preload = attempt == 0 and len(config.models) > 1
        return schedule.with_preload(segment) if preload else segment

    def learn(self, records: Sequence[Record]) -> None:
        """Update the fastest response, which bounds the requests of a load."""
        times = [t for r in records if r.outcome is Outcome.OK and (t := latency.e2e(r))]
        self._fastest = min([*times, *([self._fastest] if self._fastest else [])], default=None)

    def _seconds(self) -> float:
        """Return the time in which a load is sent; an open loop's has to settle first."""
        config = self.config
        if config.capacity.mode == "closed":
            return config.capacity.seconds
        limit = max(config.load.open.max_seconds, config.capacity.seconds)
        return arrivals.duration(config.capacity.seconds, self._fastest or 0, limit)

    def _count(self, users: float) -> int:
        if self._fastest is None:
            return _FIRST_REQUESTS
        requests = ceil(users * self.config.capacity.seconds / self._fastest) + int(users)
        return min(requests, _MAX_REQUESTS)
