"""Whether the results of a run are valid. Pure.

A fault of the client, or of every model, makes the run invalid; a fault of one model makes that
model invalid, and one of a stage that stage; the other results stand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.config.schema import RunLimits
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import Lag, ModelResult, StageResult, Validity

STOPPED = "the run was stopped before its end"
UNTIL_EOS = "output until EOS: Ollama's API has no fixed length"
MIN_SAMPLES = intervals.smallest_n(0.99)
"""Samples of a stage from which its p99 is evaluated; with fewer, one stall would be the p99."""
_NS = 1e-9


@dataclass(frozen=True, slots=True)
class RequestCount:
    """Requests of one model, without those of the capacity search, which overloads on purpose."""

    sent: int
    errors: int
    frequent: Sequence[tuple[str, int]] = ()
    """The most frequent error messages, with their number."""


def count(records: Sequence[Record]) -> RequestCount:
    errors = sum(r.outcome is not Outcome.OK for r in records)
    return RequestCount(len(records), errors, latency.frequent_errors(records))


@dataclass(frozen=True, slots=True)
class ClientLag:
    """Delays of the client in one part of a run: its plan, or its capacity search."""

    send: Lag | None = None
    """Sent - scheduled, in open loop."""
    loop: Lag | None = None
    """Wake-up delay of the event loop, over the run."""
    stages: Mapping[str, Lag] = field(default_factory=dict)
    """The same by stage."""

    @property
    def worst(self) -> str | None:
        """The stage with the largest p99, among those with enough samples."""
        names = [name for name, lag in self.stages.items() if lag.n >= MIN_SAMPLES]
        return max(names, key=lambda name: self.stages[name].p99, default=None)

    def excess(self, limits: RunLimits, where: str = "") -> Iterator[str]:
        """Yield every delay above its limit."""
        most = limits.max_loop_lag_seconds
        yield from _late(f"{where}send lag", self.send, limits.max_send_lag_seconds)
        yield from _late(_LOOP, self.loop, most)
        if (stage := self.worst) is not None:
            yield from _late(f"{formatting.stage_key(stage)}: {_LOOP}", self.stages[stage], most)


def send_lag(records: Sequence[Record]) -> Lag | None:
    """Summarise the send delay of open-loop requests; None without any."""
    return lag_of([r.begun_ns - r.scheduled_ns for r in records if r.planned.offset_ns is not None])


def lag_of(samples_ns: Sequence[int]) -> Lag | None:
    """Summarise samples by nearest rank; None without samples."""
    if not samples_ns:
        return None
    ordered = sorted(samples_ns)

    def rank(fraction: float) -> float:
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * _NS

    return Lag(n=len(ordered), p50=rank(0.5), p99=rank(0.99), high=ordered[-1] * _NS)


def too_many_errors(limits: RunLimits, count: RequestCount) -> str | None:
    """Return why a stage, or a model, with these requests is invalid; None when it is valid."""
    if count.errors <= limits.max_error_share * count.sent:
        return None
    text = f"{count.errors} of {count.sent} requests failed (limit {limits.max_error_share:.0%})"
    return text + most_frequent(count.frequent)


def most_frequent(errors: Sequence[tuple[str, int]]) -> str:
    """Return the most frequent cause, to stand behind a number of errors; empty without errors."""
    return f"; most frequent: {errors[0][0]} ({errors[0][1]})" if errors else ""


def invalid_model(
    limits: RunLimits, count: RequestCount, stages: Sequence[StageResult]
) -> str | None:
    """Return why a model is invalid: too many errors, and no stage that is valid without them."""
    if any(stage.invalid_reason is None for stage in stages):
        return None
    return too_many_errors(limits, count)


def evaluate(
    limits: RunLimits,
    lag: ClientLag,
    counts: Mapping[str, RequestCount],
    *,
    search: ClientLag,
    invalid: Mapping[str, str],
    paces: Mapping[str, float],
    searched: int = 0,
    not_sent: str | None = None,
    unsent: int = 0,
    complete: bool = True,
    share_done: float | None = None,
    warnings: Sequence[str] = (),
) -> Validity:
    """List every exceeded limit; one is enough to make a run invalid.

    `counts` has every model, `invalid` the reasons of the invalid ones, `paces` the lowest TPOT of
    any model by stage. `search` is the lag in the capacity search, which affects no other metric,
    and `searched` the number of its requests; `unsent` requests are of the plan;
    `not_sent` is why the client could not send one. A run that is not `complete` was interrupted.
    """
    sent, errors = (sum(getattr(c, n) for c in counts.values()) for n in ("sent", "errors"))
    stage, reasons = lag.worst, list(lag.excess(limits))
    if not_sent:
        reasons.append(f"the client could not send every request: {not_sent}")
    notes = [f"{name} is invalid: {reason}" for name, reason in invalid.items()]
    if invalid.keys() >= counts.keys():
        reasons += notes
        notes = []
    if not sent + searched:
        reasons.append("no request was sent")
    notes += [*warnings, *search.excess(limits, "capacity search: "), *_lag_above_tpot(lag, paces)]
    if unsent:
        cause = "time limit" if complete else "the run was stopped"
        notes.append(f"{unsent} planned requests were not sent: {cause}")
    return Validity(
        valid=not reasons,
        reasons=tuple(reasons),
        warnings=tuple(notes),
        send_lag=lag.send,
        loop_lag=lag.loop,
        worst_stage=stage,
        worst_stage_lag=lag.stages[stage] if stage else None,
        error_share=errors / sent if sent else 0.0,
        complete=complete,
        share_done=share_done,
    )


_LOOP = "event loop lag"

_LOAD_STATES = {
    "transient": "transient: the stage was too short for a steady state at this load, so it has no "
    "attainment; raise load.open.max_seconds",
    "saturated": "saturated: the rate exceeds the server's capacity, so it has no attainment",
}
_CHUNKS = (
    "the server sends no usage, so tokens are counted as chunks: with several tokens in a chunk, "
    "TPOT is too high and tokens/s too low"
)
_CACHED_SHARE = 0.1
"""Of a stage's prompts: fewer hardly change its median, and short prompts begin alike by chance."""
_STAGE_WARNINGS = {
    "retries": "attempts were refused (429 or 503) and sent again; the wait is in latencies from "
    "the schedule",
    "short_outputs": "fixed-length outputs were shorter than requested",
    "truncated_prompts": "prompts were truncated (fewer tokens than half their words)",
    "cached_prompts": "prompts were at least half in the server's prefix cache, so TTFT is lower; "
    "another prompts.seed gives new prompts",
    "reloads": "model loads before a block; no metric includes that time",
}


def client_was_late(loop: Lag | None, limits: RunLimits) -> bool:
    """Whether the event loop lag of a stage exceeded its limit, where a p99 is known."""
    return loop is not None and loop.n >= MIN_SAMPLES and loop.p99 > limits.max_loop_lag_seconds


def stage_warnings(models: Sequence[ModelResult], shares_prefixes: bool = False) -> Iterator[str]:
    """Yield what deviated from the plan, by model, with the stages.

    Cached prompts are no deviation where prompts share their beginnings.
    """
    planned = {"cached_prompts"} if shares_prefixes else set()
    for model in models:
        for stage in model.stages if model.invalid_reason is None else ():
            if stage.invalid_reason is not None:
                yield f"{model.name}: {stage.stage} is invalid: {stage.invalid_reason}"
        for state, explained in _LOAD_STATES.items():
            if found := [s.stage for s in model.stages if s.load_state == state]:
                yield f"{model.name}: {', '.join(found)}: {explained}"
        if counted := [s.stage for s in model.stages if s.counted_by in ("chunks", "mixed")]:
            yield f"{model.name}: {', '.join(counted)}: {_CHUNKS}"
        for name, text in _STAGE_WARNINGS.items():
            least = _CACHED_SHARE if name == "cached_prompts" else 0.0
            stages = {s.stage: n for s in model.stages if (n := getattr(s, name)) > least * s.n}
            if stages and name not in planned:
                where = "; ".join(map(formatting.stage_key, stages))
                yield f"{model.name}: {sum(stages.values())} {text} (in {where})"


def _late(what: str, lag: Lag | None, limit: float) -> list[str]:
    if lag is None or lag.p99 <= limit:
        return []
    return [f"{what} p99 {lag.p99 * 1000:.1f} ms (limit {limit * 1000:.0f} ms)"]


def _lag_above_tpot(lag: ClientLag, paces: Mapping[str, float]) -> Iterator[str]:
    """Warn of the stage where the client's lag is largest relative to the TPOT measured there."""
    ratios = {
        stage: lag.stages[stage].p99 / pace
        for stage, pace in paces.items()
        if stage in lag.stages and lag.stages[stage].n >= MIN_SAMPLES and pace > 0
    }
    stage = max(ratios, key=lambda name: ratios[name], default=None)
    if stage is not None and ratios[stage] > 1:
        yield (
            f"{formatting.stage_key(stage)}: {_LOOP} p99 {lag.stages[stage].p99 * 1000:.1f} ms"
            f" exceeds the lowest TPOT ({paces[stage] * 1000:.1f} ms): ITL is unreliable there,"
            " means per request are not affected"
        )
