"""Which pages a sequence takes from others, and when it waits for them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from inference.engine.engines import request
from inference.engine.scheduling.simulation import PAGE_SIZE, make
from sizeup_inference.engine.protocol import EngineRequest, Pooling
from sizeup_inference.engine.scheduling.scheduler import Scheduler, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

SYSTEM = list(range(100, 100 + 5 * PAGE_SIZE))
"""A prefix of whole pages."""


def chat(name: str, question: int, tokens: int = 1) -> EngineRequest:
    return request(name, [*SYSTEM, question, question + 1], tokens)


def add(scheduler: Scheduler, *requests: EngineRequest) -> list[SequenceState]:
    sequences = [SequenceState(r, choice) for r in requests for choice in range(r.choices)]
    scheduler.add(sequences)
    return sequences


def run(scheduler: Scheduler) -> Step:
    step = scheduler.schedule()
    scheduler.commit(step)
    for chunk in [c for c in step.chunks if c.completes]:
        if chunk.sequence.request.embed or chunk.sequence.append(7) is not None:
            scheduler.remove(chunk.sequence)
    return step


def finish(scheduler: Scheduler) -> dict[str, int]:
    """Run to the end; return the tokens computed of each request."""
    computed: dict[str, int] = {}
    while scheduler.has_work:
        for chunk in run(scheduler).chunks:
            name = chunk.sequence.request.id
            computed[name] = computed.get(name, 0) + chunk.length
    return computed


def test_a_later_request_computes_only_its_own_tokens() -> None:
    scheduler = make()
    add(scheduler, chat("a", 1))
    assert finish(scheduler) == {"a": 22}
    add(scheduler, chat("b", 3))
    assert finish(scheduler) == {"b": 2}
    assert (scheduler.prefix_cache.queries, scheduler.prefix_cache.hits) == (44, 20)


@pytest.mark.parametrize("budget", [9, 16, 200])
def test_requests_that_arrive_together_compute_a_common_prefix_once(budget: int) -> None:
    scheduler = make(budget=budget)
    add(scheduler, *(chat(f"r{i}", 2 * i) for i in range(50)))
    assert sum(finish(scheduler).values()) == len(SYSTEM) + 50 * 2
    assert scheduler.prefix_cache.hits == 49 * len(SYSTEM)


def test_a_sequence_that_follows_another_does_not_hold_up_the_queue() -> None:
    scheduler = make(budget=9)
    add(scheduler, chat("leads", 1), chat("follows", 3), request("other", [5], 1))
    assert {c.sequence.request.id for c in run(scheduler).chunks} == {"leads", "other"}


def test_a_sequence_follows_as_far_as_its_own_tokens_go() -> None:
    scheduler = make(budget=9)
    long = request("long", [*SYSTEM, *range(40)], 1)
    add(scheduler, long, chat("short", 1))
    admitted = [run(scheduler).admitted for _ in range(4)]
    assert [[s.request.id for s in step] for step in admitted] == [["long"], [], [], ["short"]]


def test_the_last_token_is_always_computed() -> None:
    scheduler = make()
    for name in "ab":
        add(scheduler, request(name, SYSTEM, 1))
        computed = finish(scheduler)
    assert computed == {"b": PAGE_SIZE}


def test_the_choices_of_a_request_share_the_pages_of_its_prompt() -> None:
    scheduler = make()
    sequences = add(scheduler, request("a", [*SYSTEM, 1, 2], 8, choices=3))
    for _ in range(4):
        run(scheduler)
    shared = {tuple(s.block_table[:5]) for s in sequences}
    assert len(shared) == 1
    assert len({s.block_table[5] for s in sequences}) == 3


def test_a_conversation_computes_its_new_turn_only() -> None:
    scheduler = make()
    (first,) = add(scheduler, chat("first", 1, tokens=11))
    finish(scheduler)
    turn = [*first.token_ids, 50, 51, 52]
    add(scheduler, request("second", turn, 1))
    cached = (first.num_tokens - 1) // PAGE_SIZE * PAGE_SIZE
    assert finish(scheduler) == {"second": len(turn) - cached}


def test_a_preempted_sequence_finds_its_pages_again() -> None:
    scheduler = make(pages=13, budget=32)
    old, young = add(scheduler, request("old", range(16), 12), request("young", range(50, 66), 12))
    while not young.num_preemptions:
        run(scheduler)
    while not young.block_table:
        step = run(scheduler)
    assert not old.block_table
    (chunk,) = step.chunks
    assert chunk.sequence is young
    assert chunk.start > 0


@pytest.mark.parametrize(
    "change", [{"embed": Pooling.MEAN}, {"embed": Pooling.CLS}, {"prompt_logprobs": 0}]
)
def test_requests_for_every_position_compute_all_and_leave_their_pages(
    change: dict[str, object],
) -> None:
    scheduler = make()
    for name in "ab":
        whole: EngineRequest = replace(chat(name, 1), **change)  # type: ignore[arg-type]
        add(scheduler, whole)
    assert finish(scheduler) == {"a": 22, "b": 22}
    assert scheduler.prefix_cache.queries == 0
    add(scheduler, chat("c", 1))
    assert finish(scheduler) == {"c": 2}


def test_an_embedding_of_the_last_token_shares_pages_like_a_chat() -> None:
    scheduler = make()
    for name in "ab":
        add(scheduler, replace(chat(name, 1), embed=Pooling.LAST))
    assert finish(scheduler) == {"a": 22, "b": 2}
    add(scheduler, chat("c", 1))
    assert finish(scheduler) == {"c": 2}


def test_salts_isolate() -> None:
    scheduler = make()
    salted: Sequence[EngineRequest] = [
        replace(chat(f"{salt}{i}", 1), cache_salt=salt) for i in "01" for salt in ("a", "b", None)
    ]
    add(scheduler, *salted)
    computed = finish(scheduler)
    assert [computed[r.id] for r in salted] == [22, 22, 22, 2, 2, 2]


@pytest.mark.parametrize("failed", [True, False])
def test_a_follower_takes_over_from_a_removed_leader(failed: bool) -> None:
    scheduler = make(budget=9)
    add(scheduler, chat("leads", 1), chat("follows", 3), chat("follows too", 5))
    run(scheduler)
    scheduler.remove_request("leads", uncache=failed)
    computed = finish(scheduler)
    assert computed == {"follows": 22 if failed else 14, "follows too": 2}


def test_a_failed_step_enters_no_page() -> None:
    scheduler = make()
    add(scheduler, chat("a", 1))
    scheduler.schedule()
    scheduler.remove_request("a", uncache=True)
    add(scheduler, chat("b", 1))
    assert finish(scheduler) == {"b": 22}


def test_without_prefix_caching_nothing_is_shared() -> None:
    scheduler = make(caching=False)
    add(scheduler, *(chat(name, 1) for name in "ab"))
    finish(scheduler)
    add(scheduler, chat("c", 1))
    assert finish(scheduler) == {"c": 22}
    assert (scheduler.prefix_cache.queries, scheduler.prefix_cache.hits) == (0, 0)
