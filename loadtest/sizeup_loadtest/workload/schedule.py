"""Config -> plan: every request of a run in order, with one hash. Pure, but for reading a trace.

A block runs every closed stage once, and a stage runs every model in turn, so that noise of the
machine that outlasts a block affects all models alike. The order of the models rotates from block
to block, and every second block runs in reverse, so that no model always follows the same other.
Open stages come last and run once, models in turn, because each has to reach its steady state; so
do traces, after them.

A closed loop sends more requests than its metrics use: users start one after the other (ramp-up)
and finish so (ramp-down). A model that follows another one is preloaded with a short request that
no metric uses, because a server may keep fewer models in memory than there are in the ladder.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from random import Random
from sys import maxsize

from sizeup_loadtest.config.schema import Arrival, Config, Mode
from sizeup_loadtest.data.record import Length, PlannedRequest
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import arrivals, lengths, trace
from sizeup_loadtest.workload.prompt import PRELOAD_KEY, ChatMessage, Prompt
from sizeup_loadtest.workload.prompts import PromptSource, TakenPrompts
from sizeup_loadtest.workload.trace import TracedRequest

WARM_UP = "warm-up"
SHORT_WARM_UP = 16
"""Output tokens of a warm-up where time is limited: to load a model; a slow one needs a minute for
a whole answer."""
PRELOAD = Prompt(PRELOAD_KEY, (ChatMessage("user", "Hello"),))
"""Loads a model before its segment; one token."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One load level, the same for every model."""

    key: str
    mode: Mode
    level: float
    """Closed loop: concurrency. Open loop: requests per second."""
    length: Length
    arrival: Arrival | None = None
    words: int | None = None
    """Prompt length, where the config sets one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stage of one model in one block; nothing else runs at the same time."""

    stage: Stage
    block: int
    model: str
    requests: tuple[PlannedRequest, ...]
    seconds: float | None = None
    """Time since the start of the segment after which nothing is sent."""
    preload: PlannedRequest | None = None
    """Sent alone, before the segment."""
    think_seconds: float = 0.0
    """Between an answer and the next turn of its conversation."""
    shortest_seconds: float | None = None
    """Open loop: its duration, unless it needs longer for its steady state; None: `seconds`."""

    @property
    def required(self) -> int:
        """Number of requests that are sent in any case, without those of a longer open loop."""
        shortest = None if self.shortest_seconds is None else self.shortest_seconds * 1e9
        return sum(shortest is None or (r.offset_ns or 0) < shortest for r in self.requests)


@dataclass(frozen=True, slots=True)
class Plan:
    stages: tuple[Stage, ...]
    warm_up: tuple[Segment, ...]
    segments: tuple[Segment, ...]
    """In execution order."""
    prompts: Mapping[str, Prompt]
    """By key."""
    sha256: str
    """Of all of the above and the sampling parameters, but not of the server's address."""

    @property
    def requests(self) -> int:
        """Number of requests, without warm-up."""
        return sum(segment.required for segment in self.segments)


def compile_plan(config: Config, source: PromptSource) -> Plan:
    """Expand a config into its requests; ConfigError when they exceed `limits.max_requests`."""
    traced = trace.read(config.load.trace) if config.load.trace else ()
    planned = stages(config, traced)
    _check_size(config, planned, len(traced))
    prompts = TakenPrompts(config, source, traced)
    warm_up = tuple(_warm_up(config, planned, prompts)) if planned else ()
    segments = tuple(_segments(config, planned, prompts))
    used = {PRELOAD.key: PRELOAD, **prompts.by_key}
    digest = _hash(config, [*warm_up, *segments, *used.values()])
    return Plan(planned, warm_up, segments, used, digest)


def stages(config: Config, traced: Sequence[TracedRequest] = ()) -> tuple[Stage, ...]:
    """Return the stages of a config: by prompt length, output length, then load; last the trace."""
    load = config.load
    result: list[Stage] = []
    for words in prompt_words(config):
        suffix = "" if words is None else f"-in{words}"
        for length in config.lengths:
            end = f"-{length}{suffix}"
            result += [
                Stage(f"closed-{n}{end}", "closed", n, length, None, words) for n in load.closed
            ]
            result += [
                Stage(f"open-{rate:g}{end}", "open", rate, length, load.open.arrival, words)
                for rate in load.open.rates
            ]
    if load.trace is not None:
        rate = trace.rate(traced, load.trace.speed)
        result += [Stage(f"trace-{n}", "open", rate, n, "trace") for n in config.lengths]
    if len({stage.key for stage in result}) < len(result):
        raise ConfigError("load: duplicate stage")
    return tuple(result)


def prompt_words(config: Config) -> Sequence[int | None]:
    """Return the prompt lengths that have stages of their own; None is one that the source sets."""
    words = config.prompts.words
    return (words if isinstance(words, tuple) else ()) or (None,)


def build_segment(
    config: Config,
    stage: Stage,
    model: str,
    prompts: Sequence[Prompt],
    block: int = 0,
    offsets: Sequence[int] | None = None,
    first: int = 0,
) -> Segment:
    """Plan one stage of one model: one request per prompt, in order, with indices from `first`."""
    random = Random(f"{config.prompts.seed}/{stage.key}/{block}/max_tokens")
    due: Sequence[int | None] = offsets or [prompt.offset_ns for prompt in prompts]
    requests = tuple(
        PlannedRequest(
            i,
            block,
            model,
            prompt.key,
            prompt.max_tokens or lengths.draw(config.max_tokens, random),
            stage.length,
            offset,
            conversation=prompt.conversation,
            turn=prompt.turn,
        )
        for i, (prompt, offset) in enumerate(zip(prompts, due, strict=True), first)
    )
    think = config.prompts.think_seconds if stage.mode == "open" else 0.0
    limit = config.load.stage_seconds
    return Segment(stage, block, model, requests, limit, think_seconds=think)


def by_conversation(requests: Sequence[PlannedRequest]) -> list[list[PlannedRequest]]:
    """Group requests by conversation, in order of the first turns; others are alone."""
    groups: dict[object, list[PlannedRequest]] = {}
    for i, request in enumerate(requests):
        alone = request.conversation is None
        groups.setdefault((i,) if alone else request.conversation, []).append(request)
    return [*groups.values()]


def open_offsets(config: Config, stage: Stage, seconds: float, block: int = 0) -> tuple[int, ...]:
    """Return the arrivals of an open stage, of requests or conversations, alike for all models."""
    seed, rate = f"{config.prompts.seed}/{stage.key}/{block}", stage.level / config.prompts.turns
    return arrivals.offsets(stage.arrival or "constant", rate, seconds, seed)


def open_limit(config: Config) -> float:
    """Return the most seconds of an open stage."""
    limits = (config.load.open.max_seconds, config.load.stage_seconds)
    return min(limit for limit in limits if limit is not None)


def with_ramp(segment: Segment) -> Segment:
    """Mark the requests of a closed loop's ramp-up and ramp-down."""
    if segment.stage.mode == "open":
        return segment
    ramp, total = int(segment.stage.level) - 1, len(segment.requests)
    requests = tuple(
        replace(request, ramp=not ramp <= i < total - ramp)
        for i, request in enumerate(segment.requests)
    )
    return replace(segment, requests=requests)


def with_preload(segment: Segment) -> Segment:
    """Return the segment with a request before it that loads the model."""
    preload = PlannedRequest(
        0, segment.block, segment.model, PRELOAD.key, 1, "until_eos", None, warm_up=True
    )
    return replace(segment, preload=preload)


def share(segment: Segment, index: int, count: int) -> Segment:
    """Return the part of one of `count` workers: some users with their requests, or arrivals.

    An open loop keeps its offsets, so that all workers together send the whole schedule.
    """
    stage, requests = segment.stage, segment.requests
    groups = by_conversation(requests)
    if stage.mode == "open":
        groups = groups[index::count]
        return replace(segment, requests=tuple(r for group in groups for r in group))
    total = int(stage.level)
    users = range(index, total, count)
    own = tuple(r for i, group in enumerate(groups) if i % total in users for r in group)
    return replace(segment, stage=replace(stage, level=len(users)), requests=own)


def order(models: Sequence[str], block: int) -> Sequence[str]:
    turn = (block // 2) % max(1, len(models))
    rotated = [*models[turn:], *models[:turn]]
    return rotated[::-1] if block % 2 else rotated


def _per_block(config: Config, stage: Stage) -> int:
    """Return the requests of one model in one closed stage of one block, with its ramps."""
    users = int(stage.level)
    return max(config.load.requests_per_block, users) + 2 * (users - 1)


def _expected(config: Config, stage: Stage) -> int:
    """Return the requests of one model in one stage, those of an open loop on average."""
    if stage.mode == "open":
        return round(stage.level * open_limit(config))
    return _per_block(config, stage) * config.load.blocks


def _check_size(config: Config, planned: Sequence[Stage], traced: int) -> None:
    each = (traced if s.arrival == "trace" else _expected(config, s) for s in planned)
    total = sum(each) * len(config.models)
    if total > config.limits.max_requests:
        longest = ", open loops of load.open.max_seconds" if config.load.open.rates else ""
        raise ConfigError(
            f"limits.max_requests: the plan has {total} requests{longest}, "
            f"the limit is {config.limits.max_requests}"
        )


def _warm_up(config: Config, planned: Sequence[Stage], prompts: TakenPrompts) -> Iterator[Segment]:
    if not config.load.warmup:
        return
    stage = Stage(WARM_UP, "closed", 1, planned[0].length, None, planned[0].words)
    taken = prompts.take(config.load.warmup, stage.words)
    most = maxsize if config.limits.budget_minutes is None else SHORT_WARM_UP
    for model in config.models:
        segment = build_segment(config, stage, model.name, taken)
        requests = tuple(
            replace(request, warm_up=True, max_tokens=min(most, request.max_tokens))
            for request in segment.requests
        )
        yield replace(segment, requests=requests, seconds=None)


def _segments(config: Config, planned: Sequence[Stage], prompts: TakenPrompts) -> Iterator[Segment]:
    last = config.models[0].name if len(config.models) == 1 else None
    for segment in (
        *_block_segments(config, planned, prompts),
        *_open_segments(config, planned, prompts),
        *_trace_segments(config, planned, prompts),
    ):
        yield segment if segment.model == last else with_preload(segment)
        last = segment.model


def _block_segments(
    config: Config, planned: Sequence[Stage], prompts: TakenPrompts
) -> Iterator[Segment]:
    names, numbers = [model.name for model in config.models], Counter[str]()
    for block in range(config.load.blocks):
        for stage in (stage for stage in planned if stage.mode == "closed"):
            taken = prompts.take(_per_block(config, stage), stage.words, int(stage.level))
            first = numbers[stage.key]
            for name in order(names, block):
                yield with_ramp(build_segment(config, stage, name, taken, block, first=first))
            numbers[stage.key] += len(taken)


def _open_segments(
    config: Config, planned: Sequence[Stage], prompts: TakenPrompts
) -> Iterator[Segment]:
    """Plan each open stage for as long as it may take; a run ends it when it is steady."""
    names, limit = [model.name for model in config.models], open_limit(config)
    shortest = arrivals.duration(config.load.open.seconds, 0, limit)
    stages = (s for s in planned if s.mode == "open" and s.arrival != "trace")
    for turn, stage in enumerate(stages):
        starts = open_offsets(config, stage, limit)
        taken = prompts.take(len(starts) * config.prompts.turns, stage.words, 1)
        begun = accumulate(prompt.turn == 0 for prompt in taken)
        offsets = [starts[number - 1] for number in begun]
        for name in order(names, turn):
            segment = build_segment(config, stage, name, taken, 0, offsets)
            yield replace(segment, seconds=limit, shortest_seconds=shortest)


def _trace_segments(
    config: Config, planned: Sequence[Stage], prompts: TakenPrompts
) -> Iterator[Segment]:
    for stage in (stage for stage in planned if stage.arrival == "trace"):
        taken = prompts.of_trace(stage.key)
        for model in config.models:
            yield build_segment(config, stage, model.name, taken)


def _hash(config: Config, parts: Sequence[Segment | Prompt]) -> str:
    digest = hashlib.sha256()
    apis = {model.api or config.target.api or "openai" for model in config.models}
    head = {"sampling": config.sampling.model_dump(), "api": sorted(apis)}
    for part in (head, *map(asdict, parts)):
        digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
