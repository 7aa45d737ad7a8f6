from dataclasses import replace

from loadtest.recording import failed, record
from sizeup_loadtest.analysis.stages import turns
from sizeup_loadtest.analysis.stages.latency import ttft
from sizeup_loadtest.data.record import Outcome, Record


def turn(index: int, conversation: int | None, turn: int, *, ok: bool = True) -> Record:
    made = record(index, first=100 * (turn + 1))
    planned = replace(made.planned, conversation=conversation, turn=turn)
    made = replace(made, planned=planned, prompt_tokens=10 * (turn + 1), cached_tokens=10 * turn)
    return made if ok else failed(made, Outcome.FAILED)


RECORDS = [turn(0, 0, 0), turn(1, 1, 0), turn(2, 0, 1), turn(3, 1, 1, ok=False), turn(4, 0, 2)]


def test_every_turn_has_its_prompt_and_what_of_it_was_cached() -> None:
    found = turns.by_turn(RECORDS, ttft)
    assert [(t.turn, t.n, t.failed) for t in found] == [(1, 2, 0), (2, 2, 1), (3, 1, 0)]
    assert [t.prompt_tokens and t.prompt_tokens.value for t in found] == [10, 20, 30]
    assert [t.cached_tokens and t.cached_tokens.value for t in found] == [0, 10, 20]
    assert [t.ttft and round(t.ttft.mean.value, 6) for t in found] == [0.1, 0.2, 0.3]


def test_without_conversations_there_are_no_turns() -> None:
    assert turns.by_turn([turn(0, None, 0)], ttft) == ()


def test_turns_after_a_failed_one_were_never_due() -> None:
    planned = [turn(i, i % 2, i // 2).planned for i in range(6)]
    assert turns.never_due(planned, RECORDS) == 1
    assert turns.never_due(planned, RECORDS[:3]) == 0
    alone = [turn(i, None, 0).planned for i in range(6)]
    assert turns.never_due(alone, [turn(0, None, 0, ok=False)]) == 0
