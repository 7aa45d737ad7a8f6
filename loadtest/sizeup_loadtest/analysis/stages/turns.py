"""The turns of conversations: what the prefix cache saves as prompts grow. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sizeup_loadtest.analysis import intervals
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.data.results import TurnResult

Blocks = Mapping[int, Sequence[Record]]
Metric = Callable[[Record], float | None]


def by_turn(blocks: Blocks, ttft: Metric) -> tuple[TurnResult, ...]:
    """Return the turns of a stage's records; none without conversations."""
    turns = sorted(
        {
            record.planned.turn
            for group in blocks.values()
            for record in group
            if record.planned.conversation is not None
        }
    )
    return tuple(_turn(turn, blocks, ttft) for turn in turns)


def _turn(turn: int, blocks: Blocks, ttft: Metric) -> TurnResult:
    own = {b: [r for r in group if r.planned.turn == turn] for b, group in blocks.items()}
    ok = {b: [r for r in group if r.outcome is Outcome.OK] for b, group in own.items()}
    sent = sum(map(len, own.values()))

    def values(metric: Metric) -> Mapping[int, Sequence[float]]:
        return {b: [v for r in group if (v := metric(r)) is not None] for b, group in ok.items()}

    return TurnResult(
        turn=turn + 1,
        n=sent,
        failed=sent - sum(map(len, ok.values())),
        prompt_tokens=intervals.mean_estimate(values(lambda r: r.prompt_tokens)),
        cached_tokens=intervals.mean_estimate(values(lambda r: r.cached_tokens)),
        ttft=intervals.distribution(values(ttft)),
    )


def never_due(planned: Iterable[PlannedRequest], records: Iterable[Record]) -> int:
    """Count the turns that were not sent because an earlier one of their conversation failed."""
    ended = {
        _conversation(r.planned): r.planned.turn for r in records if r.outcome is not Outcome.OK
    }
    return sum(
        request.conversation is not None
        and request.turn > ended.get(_conversation(request), request.turn)
        for request in planned
    )


def _conversation(request: PlannedRequest) -> tuple[object, ...]:
    return request.model, request.block, request.conversation
