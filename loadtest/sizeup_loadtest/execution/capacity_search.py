"""Find the largest load a size carries: try loads through the runner until the search is done."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil

from sizeup_loadtest.analysis import capacity, knee, latency
from sizeup_loadtest.analysis.capacity import Bounds
from sizeup_loadtest.analysis.latency import Objective
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import CapacityPoint, CapacityResult
from sizeup_loadtest.workload import schedule
from sizeup_loadtest.workload.prompts import Prompt, Source
from sizeup_loadtest.workload.schedule import Segment, Stage

_STAGES = "capacity"
"""Begins the keys of a search's stages."""
_FIRST_PLACE = 1_000_000
"""Prompts from here on: those of the speed phase may lie in the server's prefix cache."""
_ALONE = 3
"""Requests that say how fast an answer can be."""
_FIRST_REQUESTS = 200
"""Of a closed loop while nothing is known of the server's pace."""
_MOST_REQUESTS = 20_000
"""Of one load: their raw times are held in memory."""
_MOST_LOADS = 40
"""Doubling to 10,000 and halving back to a tenth takes 19."""

RunLevel = Callable[[float, int], Awaitable[Sequence[Record]]]
"""Send one load and return what was seen; the number counts earlier tries of the same load."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and everything it saw."""

    result: CapacityResult
    records: tuple[Record, ...]


class CapacitySearch:
    """One size's search, a load at a time, so that several sizes can take turns."""

    def __init__(self, run_level: RunLevel, bounds: Bounds, slo: Objective) -> None:
        """Begin with nothing known."""
        self._run_level = run_level
        self._bounds = bounds
        self._objective = slo
        self._seen: dict[float, list[Record]] = {}
        self._points: dict[float, CapacityPoint] = {}
        self._over = False

    async def step(self) -> bool:
        """Try the next load, as often as it takes to judge it; False when the search is done."""
        level = self._next()
        if level is None:
            return False
        records = self._seen.setdefault(level, [])
        for attempt in range(capacity.TRIES):
            fresh = await self._run_level(level, attempt)
            self._over = not fresh  # the run's own time is up
            if self._over:
                return False
            records += fresh
            made = point(records, self._bounds.mode, level, self._objective)
            self._points[level] = made
            if not capacity.needs_retry(made, self._bounds.target, attempt + 1):
                break
        return True

    def found(self) -> Found:
        """Return what the search has found so far."""
        seen = tuple(record for records in self._seen.values() for record in records)
        finished = not self._over and self._next() is None
        return Found(result(tuple(self._points.values()), self._bounds, finished), seen)

    def _next(self) -> float | None:
        if len(self._seen) >= _MOST_LOADS:
            return None
        return capacity.next_level(list(self._points.values()), self._bounds)


def point(
    records: Sequence[Record], mode: capacity.Mode, level: float, slo: Objective
) -> CapacityPoint:
    """Describe one load; several tries of it are counted together, as blocks."""
    first = records[0]
    load = latency.StageLoad(first.stage, mode, level, first.planned.length, first.api)
    found = latency.stage_result(load, records, slo)
    if found.attainment is None:
        raise ValueError(f"{first.stage}: no requests were counted")
    return CapacityPoint(
        level=level,
        attainment=found.attainment,
        out_tok_s=found.out_tok_s.value if found.out_tok_s else None,
        ttft_p50=found.ttft_sched.p50 if found.ttft_sched else None,
        tpot_p50=found.tpot.p50 if found.tpot else None,
        saturated=mode == "open" and _piled_up(records),
    )


def _piled_up(records: Sequence[Record]) -> bool:
    """Tell whether requests piled up in most tries of a load: in one of two they do by chance."""
    found = [capacity.saturated(tried) for tried in _tries(records)]
    return 2 * sum(found) > len(found)


def _tries(records: Sequence[Record]) -> list[list[Record]]:
    numbers = sorted({r.planned.block for r in records})
    return [[r for r in records if r.planned.block == number] for number in numbers]


def result(
    points: Sequence[CapacityPoint], bounds: Bounds, finished: bool = True
) -> CapacityResult:
    """Judge all loads that were tried."""
    ordered = tuple(sorted(points, key=lambda p: p.level))
    curve = [(p.level, p.out_tok_s) for p in ordered if p.out_tok_s is not None]
    bend, best = knee.find(curve), capacity.max_load(ordered, bounds.target)
    return CapacityResult(
        mode=bounds.mode,
        max_load=best,
        attainment=next((p.attainment for p in ordered if p.level == best), None),
        finished=finished,
        bounded_by_limit=best is not None and best == bounds.most,
        knee=bend,
        effective_parallelism=(
            knee.effective_parallelism(curve, bend) if bounds.mode == "closed" else None
        ),
        points=ordered,
    )


def stage_key(mode: capacity.Mode, level: float) -> str:
    """Name one load of a search."""
    return f"{_STAGES}-{mode}-{level:g}"


def is_search(stage: str) -> bool:
    """Tell a search's stages from the plan's by their key."""
    return stage.startswith(f"{_STAGES}-")


def first_rate(fastest: float | None) -> float:
    """Return the rate to begin with, given the seconds of an answer nobody disturbed.

    A server answers that often even one at a time. Beginning above what it carries would leave
    requests that all have to be waited for.
    """
    known = capacity.FIRST_RATE if fastest is None else min(capacity.FIRST_RATE, 1 / fastest)
    return max(known, capacity.SLOWEST_RATE)


class LoadLevels:
    """Lay out the loads of one size's search: segments for the runner, each with fresh prompts."""

    def __init__(self, config: Config, model: str, source: Source) -> None:
        self.prompts: dict[str, Prompt] = {schedule.PRELOAD.key: schedule.PRELOAD}
        """Every prompt that was laid out, by key."""
        self._config = config
        self._model = model
        self._source = source
        self._places = count(_FIRST_PLACE)
        self._fastest: float | None = None

    @property
    def bounds(self) -> Bounds:
        """Return what the config asks the search for."""
        capacity = self._config.capacity
        first = first_rate(self._fastest) if capacity.mode == "open" else 1
        return Bounds(capacity.mode, self._config.slo.attainment, capacity.max, first)

    def single_stream(self) -> Segment:
        """Lay out one request at a time: `bounds` of an open loop follow from what is learned."""
        return self._segment("closed", 1, 0, _ALONE)

    def segment(self, level: float, attempt: int) -> Segment:
        """Lay out one load, as many requests as its time may take."""
        return self._segment(self._config.capacity.mode, level, attempt, self._count(level))

    def _segment(self, mode: capacity.Mode, level: float, attempt: int, requests: int) -> Segment:
        config, words = self._config, (self._config.prompts.words or (None,))[0]
        arrival = config.load.open.arrival if mode == "open" else None
        stage = Stage(stage_key(mode, level), mode, level, config.lengths[0], arrival, words)
        drawn = [self._source(next(self._places), words) for _ in range(requests)]
        self.prompts |= {prompt.key: prompt for prompt in drawn}
        made = schedule.build_segment(config, stage, self._model, drawn, attempt)
        made = replace(schedule.with_ramp(made), seconds=config.capacity.seconds)
        return schedule.with_preload(made) if attempt == 0 and len(config.models) > 1 else made

    def learn(self, records: Sequence[Record]) -> None:
        """Remember the fastest answer: how many requests a load may take follows from it."""
        times = [t for r in records if r.outcome is Outcome.OK and (t := latency.e2e(r))]
        self._fastest = min([*times, *([self._fastest] if self._fastest else [])], default=None)

    def _count(self, level: float) -> int:
        seconds = self._config.capacity.seconds
        if self._config.capacity.mode == "open":
            # A Poisson stage has more than its mean by a third less often than once in a thousand
            # from 100 requests on; what is not needed is not sent.
            wanted = ceil(level * seconds * 1.33) + 20
        elif self._fastest is None:
            wanted = _FIRST_REQUESTS
        else:
            wanted = ceil(level * seconds / self._fastest) + int(level)
        return min(wanted, _MOST_REQUESTS)
