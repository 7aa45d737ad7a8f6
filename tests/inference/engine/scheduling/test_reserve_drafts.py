"""Pages and rows for draft tokens."""

import pytest

from inference.engine.scheduling.simulation import PAGE_SIZE, make
from inference.engine.scheduling.test_scheduler import run, sequence
from sizeup_inference.engine.scheduling.sequence import SequenceState


def test_drafts_take_free_pages_and_preempt_nothing() -> None:
    scheduler = make(pages=3, seqs=2, budget=64)
    first, second = sequence("a", PAGE_SIZE), sequence("b", PAGE_SIZE - 2)
    scheduler.add([first, second])
    run(scheduler)  # their prompts: the first one takes its second page with its next token
    step = scheduler.schedule()
    assert [len(s.block_table) for s in (first, second)] == [2, 1]
    assert scheduler.pages.num_free == 0
    rooms = scheduler.reserve_drafts(step, 4)
    assert rooms == {first: 3, second: 1}
    assert scheduler.num_preemptions == 0


def test_pages_of_rejected_drafts_are_freed_before_the_next_step() -> None:
    scheduler = make(pages=8, seqs=2, budget=64)
    only = sequence("a", PAGE_SIZE - 2, 20)
    scheduler.add([only])
    run(scheduler)
    step = scheduler.schedule()
    assert scheduler.reserve_drafts(step, 4) == {only: 4}
    assert len(only.block_table) == 2
    scheduler.commit(step)
    only.append(1)
    scheduler.schedule()
    assert len(only.block_table) == 1


@pytest.mark.parametrize(
    ("tokens", "budget", "room"), [(2, 64, {}), (3, 64, 1), (4, 64, 2), (20, 64, 4), (20, 3, 2)]
)
def test_drafts_are_bounded_by_what_is_left_of_the_output_and_of_the_step(
    tokens: int, budget: int, room: int | dict[SequenceState, int]
) -> None:
    scheduler = make(seqs=1, budget=budget)
    only = sequence("a", 1, tokens)
    scheduler.add([only])
    run(scheduler)
    assert scheduler.reserve_drafts(scheduler.schedule(), 4) == ({only: room} if room else {})
