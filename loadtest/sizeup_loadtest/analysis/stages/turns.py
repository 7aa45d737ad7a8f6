"""The turns of conversations: what the prefix cache saves as prompts grow. Pure."""

from collections.abc import Iterable, Sequence

from sizeup_loadtest.analysis.stages.blocks import Metric, by_block, distribution, mean
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.data.results import TurnResult


def by_turn(records: Sequence[Record], ttft: Metric) -> tuple[TurnResult, ...]:
    """Return the turns of a stage's records; none without conversations."""
    turns = {r.planned.turn for r in records if r.planned.conversation is not None}
    return tuple(
        _turn(turn, [r for r in records if r.planned.turn == turn], ttft) for turn in sorted(turns)
    )


def _turn(turn: int, records: Sequence[Record], ttft: Metric) -> TurnResult:
    blocks = by_block(records)
    return TurnResult(
        turn=turn + 1,
        n=len(records),
        failed=sum(r.outcome is not Outcome.OK for r in records),
        prompt_tokens=mean(blocks, lambda r: r.prompt_tokens),
        cached_tokens=mean(blocks, lambda r: r.cached_tokens),
        ttft=distribution(blocks, ttft),
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
