"""Config -> plan: every request of a run in order, with one hash. Pure.

A block runs every stage once, and a stage runs every model in turn, so that noise of the machine
that outlasts a block affects all models alike. The order of the models rotates from block to
block, and every second block runs in reverse, so that no model always follows the same other one.

A closed loop sends more requests than its metrics use: workers start one after the other (ramp-up)
and finish so (ramp-down). A model that follows another one is preloaded with a short request that
no metric uses, because a server may keep fewer models in memory than there are in the ladder.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, islice

from sizeup_loadtest.config.schema import Arrival, Config, Mode
from sizeup_loadtest.config.settings import Shard
from sizeup_loadtest.data.record import Length, PlannedRequest
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import arrivals
from sizeup_loadtest.workload.prompts import ChatMessage, Prompt, PromptSource

WARM_UP = "warm-up"
PRELOAD = Prompt("preload", (ChatMessage("user", "Hello"),))
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


@dataclass(frozen=True, slots=True)
class Plan:
    """Every request of a run."""

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
        return sum(len(segment.requests) for segment in self.segments)


def compile_plan(config: Config, source: PromptSource) -> Plan:
    """Expand a config into its requests; ConfigError when they exceed `limits.max_requests`."""
    planned = stages(config)
    _check_size(config, planned)
    prompts = _UsedPrompts(source)
    warm_up = tuple(_warm_up(config, planned, prompts)) if planned else ()
    segments = tuple(_segments(config, planned, prompts))
    digest = _hash(config, warm_up, segments, prompts.used)
    return Plan(planned, warm_up, segments, prompts.used, digest)


def stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a config: by prompt length, output length, then load."""
    load = config.load
    result: list[Stage] = []
    for words in config.prompts.words or (None,):
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
    if len({stage.key for stage in result}) < len(result):
        raise ConfigError("load: duplicate stage")
    return tuple(result)


def build_segment(
    config: Config, stage: Stage, model: str, prompts: Sequence[Prompt], block: int = 0
) -> Segment:
    """Plan one stage of one model: one request per prompt, in order."""
    seed = f"{config.prompts.seed}/{stage.key}/{block}"
    if stage.mode == "open":
        arrival = stage.arrival or "constant"
        offsets: Sequence[int | None] = arrivals.offsets(arrival, stage.level, len(prompts), seed)
    else:
        offsets = [None] * len(prompts)
    requests = tuple(
        PlannedRequest(i, block, model, prompt.key, config.max_tokens, stage.length, offset)
        for i, (prompt, offset) in enumerate(zip(prompts, offsets, strict=True))
    )
    return Segment(stage, block, model, requests, config.load.stage_seconds)


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


def share(segment: Segment, shard: Shard) -> Segment:
    """Return the part of one shard: some of the workers with their requests, or every n-th arrival.

    An open loop keeps its offsets, so that all shards together send the whole schedule.
    """
    if shard.count == 1:
        return segment
    stage, requests = segment.stage, segment.requests
    if stage.mode == "open":
        return replace(segment, requests=requests[shard.index :: shard.count])
    total = int(stage.level)
    workers = [worker for worker in range(total) if worker % shard.count == shard.index]
    own = tuple(request for i, request in enumerate(requests) if i % total in workers)
    return replace(segment, stage=replace(stage, level=len(workers)), requests=own)


def order(models: Sequence[str], block: int) -> Sequence[str]:
    turn = (block // 2) % len(models)
    rotated = [*models[turn:], *models[:turn]]
    return rotated[::-1] if block % 2 else rotated


class _UsedPrompts:
    """Takes prompts from a source, each index once, and remembers them."""

    def __init__(self, source: PromptSource) -> None:
        self.used: dict[str, Prompt] = {PRELOAD.key: PRELOAD}
        self._source = source
        self._indices: dict[int | None, Iterator[int]] = {}

    def take(self, number: int, words: int | None) -> Sequence[Prompt]:
        indices = islice(self._indices.setdefault(words, count()), number)
        taken = [self._source(index, words) for index in indices]
        self.used |= {prompt.key: prompt for prompt in taken}
        return taken


def _per_block(config: Config, stage: Stage) -> int:
    """Return the requests of one model in one stage of one block, with ramp-up and ramp-down."""
    steady = config.load.requests_per_block
    if stage.mode == "open":
        return steady
    users = int(stage.level)
    return max(steady, users) + 2 * (users - 1)


def _check_size(config: Config, planned: Sequence[Stage]) -> None:
    per_block = sum(_per_block(config, stage) for stage in planned)
    total = per_block * config.load.blocks * len(config.models)
    if total > config.limits.max_requests:
        raise ConfigError(
            f"limits.max_requests: the plan has {total} requests, "
            f"the limit is {config.limits.max_requests}"
        )


def _warm_up(config: Config, planned: Sequence[Stage], prompts: _UsedPrompts) -> Iterator[Segment]:
    if not config.load.warmup:
        return
    stage = Stage(WARM_UP, "closed", 1, planned[0].length, None, planned[0].words)
    taken = prompts.take(config.load.warmup, stage.words)
    for model in config.models:
        segment = build_segment(config, stage, model.name, taken)
        requests = tuple(replace(request, warm_up=True) for request in segment.requests)
        yield replace(segment, requests=requests, seconds=None)


def _segments(config: Config, planned: Sequence[Stage], prompts: _UsedPrompts) -> Iterator[Segment]:
    names = [model.name for model in config.models]
    numbers = {stage.key: count() for stage in planned}
    last = names[0] if len(names) == 1 else None
    for block in range(config.load.blocks):
        for stage in planned:
            taken = prompts.take(_per_block(config, stage), stage.words)
            indices = tuple(islice(numbers[stage.key], len(taken)))
            for name in order(names, block):
                segment = with_ramp(build_segment(config, stage, name, taken, block))
                segment = _numbered(segment, indices)
                yield segment if name == last else with_preload(segment)
                last = name


def _numbered(segment: Segment, indices: Sequence[int]) -> Segment:
    pairs = zip(segment.requests, indices, strict=True)
    return replace(segment, requests=tuple(replace(request, index=i) for request, i in pairs))


def _hash(
    config: Config,
    warm_up: Sequence[Segment],
    segments: Sequence[Segment],
    prompts: Mapping[str, Prompt],
) -> str:
    digest = hashlib.sha256()
    apis = {model.api or config.target.api or "openai" for model in config.models}
    head = {"sampling": config.sampling.model_dump(), "api": sorted(apis)}
    for part in (
        head,
        *map(asdict, warm_up),
        *map(asdict, segments),
        *map(asdict, prompts.values()),
    ):
        digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
