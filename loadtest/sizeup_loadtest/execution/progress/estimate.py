"""Estimated duration of a run, before anything is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, log2

from rich.table import Table

from sizeup_loadtest.ability.questions import questions
from sizeup_loadtest.analysis.stages.capacity import FIRST_RATE
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.workload import arrivals, budget, lengths
from sizeup_loadtest.workload.schedule import Plan, Segment, Stage

_BISECTIONS = 4
"""Bisections of an octave until no more than `capacity.RESOLUTION` is left of it."""


ASSUMED_TOK_S = 30
"""Tokens/s per user before any is measured: an 8B model on one GPU under load, or a small one on a
CPU."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stage, or another phase."""

    name: str
    load: str
    models: int
    seconds: float
    blocks: int | None = None
    requests: int | None = None
    max_tokens: int | None = None


def seconds(segment: Segment, tok_s: float) -> float:
    """Return the duration of a segment if each user gets `tok_s` tokens/s under any load."""
    tokens = sum(request.max_tokens for request in segment.requests)
    if segment.stage.mode == "closed":
        total = tokens / tok_s / segment.stage.level
    else:
        answer = tokens / tok_s / max(1, len(segment.requests))
        shortest = segment.shortest_seconds
        if shortest is None:  # a trace, which is sent whole
            shortest = max((r.offset_ns or 0 for r in segment.requests), default=0) * 1e-9
        else:
            shortest = max(shortest, arrivals.duration(0, answer, inf))
        total = answer + shortest
    return total if segment.seconds is None else min(total, segment.seconds)


def parts(config: Config, plan: Plan, tok_s: float) -> list[Part]:
    """Return everything but warm-up and lm-eval, whose duration is unknown."""
    if config.limits.budget_minutes is not None:
        return _budgeted(config, config.limits.budget_minutes)
    stages = [_stage(stage, plan.segments, tok_s) for stage in plan.stages]
    return [*stages, *_ability(config, tok_s), *_capacity(config, tok_s)]


def phases(config: Config, plan: Plan, tok_s: float) -> Mapping[str, float]:
    """Return the expected seconds of every phase but warm-up and lm-eval."""
    result: dict[str, float] = {}
    for part in parts(config, plan, tok_s):
        phase = part.name if part.name in budget.SHARES else "speed"
        result[phase] = result.get(phase, 0) + part.seconds
    return result


def _budgeted(config: Config, minutes: float) -> list[Part]:
    """Return the phases of a run that divides its time; a fast server needs less."""
    enabled = {"ability": config.ability.enabled, "capacity": config.capacity.enabled}
    names, left = [name for name in budget.SHARES if enabled.get(name, True)], minutes * 60
    result = []
    for place, name in enumerate(names, 1):
        seconds = budget.phase_seconds(name, names[place:], left)
        result.append(Part(name, "at most", len(config.models), seconds))
        left -= seconds
    return result


def table(rows: Sequence[Part]) -> Table:
    result = Table()
    result.add_column("stage", no_wrap=True)
    for heading in ("load", "blocks", "models", "requests", "max tokens", "min"):
        result.add_column(heading, justify="right")
    for part in rows:
        counts = (part.blocks, part.models, part.requests, part.max_tokens)
        cells = ("" if count is None else str(count) for count in counts)
        result.add_row(part.name, part.load, *cells, f"{part.seconds / 60:.1f}")
    return result


def total(rows: Sequence[Part], tok_s: float, config: Config) -> str:
    """Return the duration of the whole run as text."""
    minutes, limit = sum(part.seconds for part in rows) / 60, config.limits.max_minutes
    text = f"about {minutes:.1f} minutes"
    if config.limits.budget_minutes is None:
        text += f" at {tok_s:g} tokens/s per user and maximum output length"
    if config.lm_eval.enabled:
        text += ", plus lm-eval"
    if minutes > limit:
        text += f"; limits.max_minutes ({limit:g}) would stop it"
    return text


def summary(plan: Plan) -> str:
    """Return the number of requests of a plan as text, and its hash."""
    text = f"{plan.requests} requests planned"
    if preloads := sum(segment.preload is not None for segment in plan.segments):
        text += f", {preloads} preload requests of one token"
    return f"{text}, sha256 {plan.sha256}"


def _stage(stage: Stage, segments: Sequence[Segment], tok_s: float) -> Part:
    own = [segment for segment in segments if segment.stage == stage]
    requests = [request for segment in own for request in segment.requests[: segment.required]]
    return Part(
        stage.key,
        _users(int(stage.level))
        if stage.mode == "closed"
        else f"{stage.level:g}/s {stage.arrival}",
        len({segment.model for segment in own}),
        sum(seconds(segment, tok_s) for segment in own),
        blocks=len({segment.block for segment in own}),
        requests=len(requests),
        max_tokens=sum(request.max_tokens for request in requests),
    )


def _users(count: int) -> str:
    return f"{count} user{'' if count == 1 else 's'}"


def _capacity(config: Config, tok_s: float) -> Iterator[Part]:
    """Assume one try per load, whose last responses end after its time."""
    capacity = config.capacity
    if capacity.enabled:
        limit = _users(int(capacity.max)) if capacity.mode == "closed" else f"{capacity.max:g}/s"
        each = capacity.seconds + lengths.typical(config.max_tokens) / tok_s
        models = len(config.models)
        yield Part("capacity", f"≤ {limit}", models, _loads(config) * each * models)


def _loads(config: Config) -> int:
    """Return the loads tried by a search that ends near its limit: doubled, then bisected."""
    doubled = ceil(log2(max(1.0, config.capacity.max / FIRST_RATE))) + 1
    if config.capacity.mode == "open":
        return doubled + _BISECTIONS
    return doubled + min(max(0, doubled - 2), _BISECTIONS)  # between 1 and 2 there is no load


def _ability(config: Config, tok_s: float) -> Iterator[Part]:
    ability = config.ability
    if ability.enabled:
        items = len(questions(ability))
        requests = items * len(config.models)
        tokens = requests * ability.max_tokens
        yield Part(
            "ability",
            _users(ability.concurrency),
            len(config.models),
            tokens / tok_s / ability.concurrency,
            requests=requests,
            max_tokens=tokens,
        )
