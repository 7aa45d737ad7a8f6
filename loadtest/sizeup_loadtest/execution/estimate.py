"""How long a run takes, before anybody knows how fast the sizes are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log2

from rich.table import Table

from sizeup_loadtest.ability.items import ladder
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.workload.schedule import Plan, Segment, Stage

_FIRST_RATE = 1.0
_LAST_STEPS = 4
"""Of a search: halvings of an octave until no more than `search.RESOLUTION` is left of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table: a stage, or another phase."""

    name: str
    load: str
    sizes: int
    seconds: float
    blocks: int | None = None
    requests: int | None = None
    tokens: int | None = None
    """At most."""


def seconds(segment: Segment, tok_s: float) -> float:
    """Return the time of one segment if one user gets so many tokens per second at any load."""
    tokens = sum(request.max_tokens for request in segment.requests)
    if segment.stage.mode == "closed":
        whole = tokens / tok_s / segment.stage.level
    else:
        last = max((request.offset_ns or 0 for request in segment.requests), default=0)
        whole = last * 1e-9 + tokens / tok_s / max(1, len(segment.requests))
    return whole if segment.seconds is None else min(whole, segment.seconds)


def parts(config: Config, plan: Plan, tok_s: float) -> list[Part]:
    """Return everything a run does but warming up and lm-eval, which says nothing of its length."""
    found = [_stage(stage, plan.segments, tok_s) for stage in plan.stages]
    return [*found, *_capacity(config, tok_s), *_ability(config, tok_s)]


def table(found: Sequence[Part]) -> Table:
    """Draw a row per part."""
    drawn = Table()
    drawn.add_column("stage", no_wrap=True)
    for heading in ("load", "blocks", "sizes", "requests", "tokens at most", "minutes"):
        drawn.add_column(heading, justify="right")
    for part in found:
        counts = (part.blocks, part.sizes, part.requests, part.tokens)
        told = ("" if count is None else str(count) for count in counts)
        drawn.add_row(part.name, part.load, *told, f"{part.seconds / 60:.1f}")
    return drawn


def sentence(found: Sequence[Part], tok_s: float, config: Config) -> str:
    """Say how long the whole run takes."""
    whole, most = sum(part.seconds for part in found) / 60, config.limits.max_minutes
    said = f"about {whole:.1f} minutes at {tok_s:g} tokens/s per user and full answers"
    if config.lm_eval.enabled:
        said += ", and lm-eval's suites on top"
    if whole > most:
        said += f"; it would be cut at limits.max_minutes ({most:g})"
    return said


def planned(plan: Plan) -> str:
    """Say what the plan holds; nothing counts the requests that wake sizes."""
    said = f"{plan.requests} requests planned"
    if wakes := sum(segment.preload is not None for segment in plan.segments):
        said += f" and {wakes} requests of one token that wake sizes"
    return f"{said}, sha256 {plan.sha256}"


def _stage(stage: Stage, segments: Sequence[Segment], tok_s: float) -> Part:
    mine = [segment for segment in segments if segment.stage == stage]
    requests = [request for segment in mine for request in segment.requests]
    unit = "at a time" if stage.mode == "closed" else f"per second, {stage.arrival}"
    return Part(
        stage.key,
        f"{stage.level:g} {unit}",
        len({segment.model for segment in mine}),
        sum(seconds(segment, tok_s) for segment in mine),
        blocks=len({segment.block for segment in mine}),
        requests=len(requests),
        tokens=sum(request.max_tokens for request in requests),
    )


def _capacity(config: Config, tok_s: float) -> Iterator[Part]:
    """Each load is tried once; the last answers of each may still be under way at its end."""
    asked = config.capacity
    if asked.enabled:
        unit = "at a time" if asked.mode == "closed" else "per second"
        each = asked.seconds + config.max_tokens / tok_s
        sizes = len(config.models)
        whole = _loads(config) * each * sizes
        yield Part("capacity", f"up to {asked.max:g} {unit}", sizes, whole)


def _loads(config: Config) -> int:
    """Return how many loads a search tries that ends near its limit: doubled, then halved back."""
    doubled = ceil(log2(max(1.0, config.capacity.max / _FIRST_RATE))) + 1
    if config.capacity.mode == "open":
        return doubled + _LAST_STEPS
    return doubled + min(max(0, doubled - 2), _LAST_STEPS)  # between 1 and 2 there is no load


def _ability(config: Config, tok_s: float) -> Iterator[Part]:
    asked = config.ability
    if asked.enabled:
        items = len(ladder(asked.kinds, asked.levels, asked.seed, asked.items))
        requests = items * len(config.models)
        tokens = requests * asked.max_tokens
        whole = tokens / tok_s / asked.concurrency
        load = f"{asked.concurrency} at a time"
        yield Part("ability", load, len(config.models), whole, requests=requests, tokens=tokens)
