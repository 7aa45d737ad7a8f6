"""Whether a run's figures can be trusted. Pure.

What is wrong with the client or with every size makes the run invalid; what is wrong with one size
makes that size broken, and the others' figures stand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.config.schema import RunLimits
from sizeup_loadtest.data.results import Lag, ModelResult, Validity

STOPPED = "the run was stopped before its end"
"""A warning."""
ENOUGH = intervals.smallest_n(0.99)
"""Samples of a stage from which its p99 is judged; in fewer, one stall would be the p99."""


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of one size, without those of a search for capacity.

    A search overloads a server on purpose: its errors are its result.
    """

    sent: int
    errors: int


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the client itself was."""

    send: Lag | None = None
    """In open loop."""
    loop: Lag | None = None
    """Of the whole run."""
    stages: Mapping[str, Lag] = field(default_factory=dict)
    """The loop's, by stage."""
    search_send: Lag | None = None
    search_stages: Mapping[str, Lag] = field(default_factory=dict)
    """Of the search for capacity: it makes its own loads look worse, and no other figure."""


def broken(limits: RunLimits, counts: Mapping[str, Count]) -> Mapping[str, str]:
    """Name the sizes too many of whose requests failed, and say how many."""
    return {
        name: f"{count.errors} of {count.sent} requests failed (limit {limits.max_error_share:.0%})"
        for name, count in counts.items()
        if count.errors > limits.max_error_share * count.sent
    }


def judge(
    limits: RunLimits,
    late: Lateness,
    counts: Mapping[str, Count],
    *,
    broken: Mapping[str, str],
    paces: Mapping[str, float],
    searched: int = 0,
    unsent: int = 0,
    complete: bool = True,
    warnings: Sequence[str] = (),
) -> Validity:
    """Name every limit that was passed; one is enough to make a run invalid.

    `counts` has every size, `broken` says why some are, `paces` is the least time per token that
    any size had, by stage. `searched` requests were a search's, `unsent` were planned; a run not
    `complete` was stopped from outside.
    """
    sent, errors = (sum(getattr(c, n) for c in counts.values()) for n in ("sent", "errors"))
    stage = _worst(late.stages)
    reasons = [
        *_late("requests were sent", late.send, limits.max_send_lag_seconds),
        *_late(_LOOP, late.loop, limits.max_loop_lag_seconds),
    ]
    if stage is not None:
        what = f"in {stage}, {_LOOP}"
        reasons += _late(what, late.stages[stage], limits.max_loop_lag_seconds)
    told = [f"{name} is broken: {why}" for name, why in broken.items()]
    if broken.keys() >= counts.keys():
        reasons += told
        told = []
    if not sent + searched:
        reasons.append("no request was sent")
    told += [*warnings, *_search(limits, late), *_coarse(late, paces)]
    if unsent:
        why = "their time was over" if complete else "the run was stopped before"
        told.append(f"{unsent} planned requests were not sent: {why}")
    return Validity(
        valid=not reasons,
        reasons=tuple(reasons),
        warnings=tuple(told),
        send_lag=late.send,
        loop_lag=late.loop,
        worst_stage=stage,
        worst_stage_lag=late.stages[stage] if stage else None,
        error_share=errors / sent if sent else 0.0,
    )


_LOOP = "the client's event loop woke"


_DOUBTS = {
    "short_outputs": "answers of forced length ended before it",
    "truncated_prompts": "prompts were cut: the server read fewer tokens than half their words",
    "reloads": "times the model had to be loaded before a block; no figure has that time",
}


def too_late(loop: Lag | None, limits: RunLimits) -> bool:
    """Tell whether the client's loop was later in a stage than is allowed, where a p99 is known."""
    return loop is not None and loop.n >= ENOUGH and loop.p99 > limits.max_loop_lag_seconds


def stage_warnings(models: Sequence[ModelResult]) -> Iterator[str]:
    """Say of every size what did not go as asked, and in which stages."""
    for model in models:
        for field_, what in _DOUBTS.items():
            found = {s.stage: n for s in model.stages if (n := getattr(s, field_))}
            if found:
                yield f"{model.name}: {sum(found.values())} {what} (in {', '.join(found)})"


def _worst(stages: Mapping[str, Lag]) -> str | None:
    """Return the stage with the largest p99, of those that have one."""
    judged = [name for name, lag in stages.items() if lag.n >= ENOUGH]
    return max(judged, key=lambda name: stages[name].p99, default=None)


def _late(what: str, lag: Lag | None, limit: float) -> list[str]:
    if lag is None or lag.p99 <= limit:
        return []
    return [f"{what} {lag.p99 * 1000:.1f} ms late at p99 (limit {limit * 1000:.0f} ms)"]


def _search(limits: RunLimits, late: Lateness) -> Iterator[str]:
    what = "in the search for capacity, requests were sent"
    yield from _late(what, late.search_send, limits.max_send_lag_seconds)
    stage = _worst(late.search_stages)
    if stage is not None:
        lag = late.search_stages[stage]
        yield from _late(f"in {stage}, {_LOOP}", lag, limits.max_loop_lag_seconds)


def _coarse(late: Lateness, paces: Mapping[str, float]) -> Iterator[str]:
    """Say in which stage the client's own lateness is longest beside what it measured there."""
    found = {
        stage: late.stages[stage].p99 / pace
        for stage, pace in paces.items()
        if stage in late.stages and late.stages[stage].n >= ENOUGH and pace > 0
    }
    stage = max(found, key=lambda name: found[name], default=None)
    if stage is not None and found[stage] > 1:
        yield (
            f"in {stage}, {_LOOP} {late.stages[stage].p99 * 1000:.1f} ms late at p99, longer than "
            f"the fastest size's time per token ({paces[stage] * 1000:.1f} ms): single gaps between"
            " tokens are not to be trusted, means over an answer are"
        )
