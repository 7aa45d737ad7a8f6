"""Config -> plan: every request of a run in its order, with one hash. Pure.

A block holds every stage once, and in a stage every size, one after the other: noise of the
machine that lasts longer than a block meets all sizes alike. From block to block the order of the
sizes turns, and every other block runs backwards, so that no size always follows the same other.

A closed loop sends more than it counts: users arrive one after the other, and leave so. A size
whose turn comes after another's is asked something short first, which no figure counts: a server
that holds fewer models than there are sizes loads it then.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, islice

from sizeup_loadtest.config.schema import Arrival, Config, Mode
from sizeup_loadtest.config.settings import Shard
from sizeup_loadtest.data.record import Length, Planned
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import arrivals
from sizeup_loadtest.workload.prompts import Message, Prompt, Source

WARM_UP = "warm-up"
WAKE = Prompt("wake", (Message("user", "Hello"),))
"""Asked for one token by a size whose turn has come."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of load, the same for every size."""

    key: str
    mode: Mode
    level: float
    """Closed loop: concurrent requests. Open loop: requests per second."""
    length: Length
    arrival: Arrival | None = None
    words: int | None = None
    """Length of its prompts, where the config chooses one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stage of one size in one block: what runs without anything beside it."""

    stage: Stage
    block: int
    model: str
    requests: tuple[Planned, ...]
    seconds: float | None = None
    """Nothing is sent later than this since the segment began."""
    wake: Planned | None = None
    """Sent alone, before the segment begins."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it begins."""

    stages: tuple[Stage, ...]
    warm_up: tuple[Segment, ...]
    segments: tuple[Segment, ...]
    """In the order they run."""
    prompts: Mapping[str, Prompt]
    """By key."""
    sha256: str
    """Of all the above and how answers are drawn; not of the server's address."""

    @property
    def requests(self) -> int:
        """Return how many requests are planned, without warm-up."""
        return sum(len(segment.requests) for segment in self.segments)


def compile(config: Config, source: Source) -> Plan:
    """Lay out a run; ConfigError when it is larger than its own limit."""
    planned = stages(config)
    _bounded(config, planned)
    draw = _Prompts(source)
    warm_up = tuple(_warm_up(config, planned, draw)) if planned else ()
    segments = tuple(_segments(config, planned, draw))
    digest = _hash(config, warm_up, segments, draw.used)
    return Plan(planned, warm_up, segments, draw.used, digest)


def stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a config: lengths of prompts, then loads, then regimes of length."""
    load = config.load
    made: list[Stage] = []
    for words in config.prompts.words or (None,):
        suffix = "" if words is None else f"-in{words}"
        for length in config.lengths:
            end = f"-{length}{suffix}"
            made += [
                Stage(f"closed-{n}{end}", "closed", n, length, None, words) for n in load.closed
            ]
            made += [
                Stage(f"open-{rate:g}{end}", "open", rate, length, load.open.arrival, words)
                for rate in load.open.rates
            ]
    keys = [stage.key for stage in made]
    if len(set(keys)) < len(keys):
        raise ConfigError("load: a stage is there twice")
    return tuple(made)


def segment(
    config: Config, stage: Stage, model: str, prompts: Sequence[Prompt], block: int = 0
) -> Segment:
    """Lay out one stage of one size, a request per prompt, in the prompts' order."""
    seed = f"{config.prompts.seed}/{stage.key}/{block}"
    if stage.mode == "open":
        arrival = stage.arrival or "constant"
        offsets: Sequence[int | None] = arrivals.offsets(arrival, stage.level, len(prompts), seed)
    else:
        offsets = [None] * len(prompts)
    requests = tuple(
        Planned(i, block, model, prompt.key, config.max_tokens, stage.length, offset)
        for i, (prompt, offset) in enumerate(zip(prompts, offsets, strict=True))
    )
    return Segment(stage, block, model, requests, config.load.stage_seconds)


def with_edges(segment: Segment) -> Segment:
    """Mark the requests that fill and empty a closed loop: all others met as many as were asked."""
    if segment.stage.mode == "open":
        return segment
    edge, whole = int(segment.stage.level) - 1, len(segment.requests)
    requests = tuple(
        replace(request, edge=not edge <= place < whole - edge)
        for place, request in enumerate(segment.requests)
    )
    return replace(segment, requests=requests)


def woken(segment: Segment) -> Segment:
    """Return the segment of a size that may have to be loaded first."""
    wake = Planned(0, segment.block, segment.model, WAKE.key, 1, "natural", None, warm_up=True)
    return replace(segment, wake=wake)


def share(segment: Segment, shard: Shard) -> Segment:
    """Return one shard's part: its share of the workers with theirs, or every n-th arrival.

    An open loop keeps its offsets, so the shards together send what one would have sent.
    """
    if shard.count == 1:
        return segment
    stage, requests = segment.stage, segment.requests
    if stage.mode == "open":
        return replace(segment, requests=requests[shard.index :: shard.count])
    whole = int(stage.level)
    workers = [worker for worker in range(whole) if worker % shard.count == shard.index]
    mine = tuple(r for place, r in enumerate(requests) if place % whole in workers)
    return replace(segment, stage=replace(stage, level=len(workers)), requests=mine)


def order(models: Sequence[str], block: int) -> Sequence[str]:
    """Return the order of the sizes in a block."""
    turn = (block // 2) % len(models)
    turned = [*models[turn:], *models[:turn]]
    return turned[::-1] if block % 2 else turned


class _Prompts:
    """Hand out prompts, each place once, and keep what was handed out."""

    def __init__(self, source: Source) -> None:
        self.used: dict[str, Prompt] = {WAKE.key: WAKE}
        self._source = source
        self._places: dict[int | None, Iterator[int]] = {}

    def take(self, number: int, words: int | None) -> Sequence[Prompt]:
        places = islice(self._places.setdefault(words, count()), number)
        taken = [self._source(place, words) for place in places]
        self.used |= {prompt.key: prompt for prompt in taken}
        return taken


def _per_block(config: Config, stage: Stage) -> int:
    """Return how many requests a size gets in one stage of one block, those at the edges too."""
    asked = config.load.requests_per_block
    if stage.mode == "open":
        return asked
    users = int(stage.level)
    return max(asked, users) + 2 * (users - 1)


def _bounded(config: Config, planned: Sequence[Stage]) -> None:
    each = sum(_per_block(config, stage) for stage in planned)
    whole = each * config.load.blocks * len(config.models)
    if whole > config.limits.max_requests:
        raise ConfigError(
            f"limits.max_requests: the plan has {whole} requests, "
            f"{config.limits.max_requests} are allowed"
        )


def _warm_up(config: Config, planned: Sequence[Stage], draw: _Prompts) -> Iterator[Segment]:
    if not config.load.warmup:
        return
    stage = Stage(WARM_UP, "closed", 1, planned[0].length, None, planned[0].words)
    prompts = draw.take(config.load.warmup, stage.words)
    for model in config.models:
        made = segment(config, stage, model.name, prompts)
        requests = tuple(replace(request, warm_up=True) for request in made.requests)
        yield replace(made, requests=requests, seconds=None)


def _segments(config: Config, planned: Sequence[Stage], draw: _Prompts) -> Iterator[Segment]:
    names = [model.name for model in config.models]
    placed = {stage.key: count() for stage in planned}
    last = names[0] if len(names) == 1 else None
    for block in range(config.load.blocks):
        for stage in planned:
            prompts = draw.take(_per_block(config, stage), stage.words)
            indices = tuple(islice(placed[stage.key], len(prompts)))
            for name in order(names, block):
                made = with_edges(segment(config, stage, name, prompts, block))
                requests = tuple(
                    replace(request, index=i)
                    for request, i in zip(made.requests, indices, strict=True)
                )
                made = replace(made, requests=requests)
                yield made if name == last else woken(made)
                last = name


def _hash(
    config: Config,
    warm_up: Sequence[Segment],
    segments: Sequence[Segment],
    prompts: Mapping[str, Prompt],
) -> str:
    digest = hashlib.sha256()
    head = {"sampling": config.sampling.model_dump(), "api": config.target.api}
    for part in (
        head,
        *map(asdict, warm_up),
        *map(asdict, segments),
        *map(asdict, prompts.values()),
    ):
        digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
