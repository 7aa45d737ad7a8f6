"""How long a plan takes, before anybody knows how fast the sizes are."""

from collections.abc import Sequence

from rich.table import Table

from sizeup_loadtest.schedule import Plan, Segment, Stage


def seconds(segment: Segment, tok_s: float) -> float:
    """Return the time of one segment if one user gets so many tokens per second at any load."""
    tokens = sum(request.max_tokens for request in segment.requests)
    if segment.stage.mode == "closed":
        whole = tokens / tok_s / segment.stage.level
    else:
        last = max((request.offset_ns or 0 for request in segment.requests), default=0)
        whole = last * 1e-9 + tokens / tok_s / max(1, len(segment.requests))
    return whole if segment.seconds is None else min(whole, segment.seconds)


def table(plan: Plan, tok_s: float) -> Table:
    """Draw a row per stage."""
    drawn = Table()
    drawn.add_column("stage", no_wrap=True)
    for heading in ("load", "blocks", "sizes", "requests", "tokens at most", "minutes"):
        drawn.add_column(heading, justify="right")
    for stage in plan.stages:
        drawn.add_row(stage.key, *_cells(stage, plan.segments, tok_s))
    return drawn


def sentence(plan: Plan, tok_s: float, max_minutes: float) -> str:
    """Say how long the whole plan takes."""
    whole = sum(seconds(segment, tok_s) for segment in plan.segments) / 60
    said = f"about {whole:.1f} minutes at {tok_s:g} tokens/s per user and full answers"
    if whole > max_minutes:
        said += f"; it would be cut at limits.max_minutes ({max_minutes:g})"
    return said


def _cells(stage: Stage, segments: Sequence[Segment], tok_s: float) -> tuple[str, ...]:
    mine = [segment for segment in segments if segment.stage == stage]
    requests = [request for segment in mine for request in segment.requests]
    unit = "at a time" if stage.mode == "closed" else f"per second, {stage.arrival}"
    return (
        f"{stage.level:g} {unit}",
        str(len({segment.block for segment in mine})),
        str(len({segment.model for segment in mine})),
        str(len(requests)),
        str(sum(request.max_tokens for request in requests)),
        f"{sum(seconds(segment, tok_s) for segment in mine) / 60:.1f}",
    )
