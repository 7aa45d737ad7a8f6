"""Scheduling decisions, and the content of the pool under random workloads."""

import random
from dataclasses import replace

import pytest

from inference.engine.engines import request
from inference.engine.scheduling.simulation import PAGE_SIZE, Simulation, make
from sizeup_inference.engine.protocol import Pooling
from sizeup_inference.engine.scheduling.scheduler import (
    Chunk,
    Scheduler,
    SchedulerConfig,
    Step,
    fair_shares,
)
from sizeup_inference.engine.scheduling.sequence import SequenceState


def sequence(name: str, prompt: int, tokens: int = 8) -> SequenceState:
    """Make a sequence whose prompt shares no page with that of another name."""
    first = 1000 * sum(name.encode())
    return SequenceState(request(name, range(first, first + prompt), tokens), 0)


def run(scheduler: Scheduler) -> Step:
    """Schedule, commit, and append a token to every completing sequence."""
    step = scheduler.schedule()
    scheduler.commit(step)
    for chunk in [c for c in step.chunks if c.completes]:
        if chunk.sequence.append(chunk.sequence.num_tokens) is not None:
            scheduler.remove(chunk.sequence)
    return step


def lengths(step: Step) -> dict[str, int]:
    return {c.sequence.request.id: c.length for c in step.chunks}


def names(sequences: tuple[SequenceState, ...] | list[SequenceState]) -> list[str]:
    return [s.request.id for s in sequences]


@pytest.mark.parametrize(
    ("start", "length", "delivered", "positions"),
    [
        (0, 4, 0, range(4)),
        (4, 3, 4, range(4, 7)),
        (7, 3, 7, range(7, 9)),  # the last position predicts the output
        (0, 6, 4, range(4, 6)),  # recomputed
        (0, 4, 4, range(0)),
        (10, 1, 9, range(0)),
    ],
)
def test_prompt_logprob_positions_are_those_not_yet_delivered(
    start: int, length: int, delivered: int, positions: range
) -> None:
    made = replace(request("a", range(10)), prompt_logprobs=0)
    first = SequenceState(made, 0)
    first.num_prompt_logprobs = delivered
    assert Chunk(first, start, length).prompt_logprob_positions == positions
    for other in (
        SequenceState(made, 1),
        SequenceState(replace(made, prompt_logprobs=None), 0),
        SequenceState(replace(made, embed=Pooling.MEAN), 0),
    ):
        assert not Chunk(other, start, length).prompt_logprob_positions


def test_admits_in_the_order_of_arrival_up_to_the_number_of_sequences() -> None:
    scheduler = make(seqs=2)
    scheduler.add([sequence("a", 2, 2), sequence("b", 2, 3), sequence("c", 2), sequence("d", 2)])
    assert names(run(scheduler).admitted) == ["a", "b"]
    assert names(run(scheduler).admitted) == []
    assert names(run(scheduler).admitted) == ["c"]
    assert names(run(scheduler).admitted) == ["d"]


def of(client: str, name: str, prompt: int = 2, tokens: int = 8) -> SequenceState:
    made = sequence(name, prompt, tokens)
    return SequenceState(replace(made.request, client=client), 0)


def test_a_second_client_is_next_beside_500_requests_of_another() -> None:
    scheduler = make(seqs=4)
    scheduler.add([of("greedy", f"g{i}", tokens=1 + i % 5) for i in range(500)])
    for _ in range(20):
        run(scheduler)
    scheduler.add([of("polite", "p0"), of("polite", "p1")])
    admitted: list[str] = []
    while "p1" not in admitted:
        admitted += names(run(scheduler).admitted)
    assert admitted[0] == "p0"
    assert (
        admitted.index("p1") <= 4
    )  # p0 is charged for its output, which greedy's are shorter than


def test_clients_get_equal_shares_of_the_tokens() -> None:
    scheduler = make(seqs=2)
    scheduler.add([of("long", f"l{i}", 8, 16) for i in range(100)])
    scheduler.add([of("short", f"s{i}", 4, 4) for i in range(300)])
    served = {"long": 0, "short": 0}
    for _ in range(1000):
        for chunk in run(scheduler).chunks:
            cost = chunk.length if chunk.start == 0 else 2 * chunk.length
            served[chunk.sequence.request.client] += cost
    assert 0.8 < served["long"] / served["short"] < 1.25


def test_a_request_that_does_not_fit_is_not_overtaken() -> None:
    scheduler = make(pages=10)
    scheduler.add([sequence("a", 12, 20), sequence("large", 30), sequence("small", 1, 1)])
    assert names(run(scheduler).admitted) == ["a"]
    assert names(list(scheduler.waiting)) == ["large", "small"]


def test_decodes_every_running_sequence_beside_a_prompt() -> None:
    scheduler = make(seqs=4, budget=10)
    scheduler.add([sequence("a", 2), sequence("b", 2)])
    run(scheduler)
    scheduler.add([sequence("long", 40)])
    assert lengths(run(scheduler)) == {"a": 1, "b": 1, "long": 8}


def test_a_prompt_chunk_stays_below_the_threshold() -> None:
    scheduler = make(budget=64, threshold=7)
    scheduler.add([sequence("a", 17)])
    assert [lengths(run(scheduler))["a"] for _ in range(4)] == [7, 7, 3, 1]


def test_only_the_last_chunk_of_a_prompt_samples() -> None:
    scheduler = make(threshold=4)
    scheduler.add([sequence("a", 6)])
    for completes in (False, True):
        step = scheduler.schedule()
        assert [c.completes for c in step.chunks] == [completes]
        scheduler.commit(step)


def test_a_short_prompt_overtakes_a_long_one() -> None:
    scheduler = make(budget=16)
    scheduler.add([sequence("long", 100), sequence("short", 3)])
    assert lengths(run(scheduler)) == {"long": 13, "short": 3}


def test_equal_long_prompts_do_not_all_share_the_budget() -> None:
    scheduler = make(budget=16)
    scheduler.add([sequence(f"r{i}", 40) for i in range(8)])
    assert len(run(scheduler).chunks) == 4


def test_preempts_the_youngest_and_readmits_it_first() -> None:
    scheduler = make(pages=10, seqs=2)
    scheduler.add([sequence("old", 8, 16), sequence("young", 8, 16), sequence("late", 1, 1)])
    for _ in range(14):
        run(scheduler)
    young = next(iter(scheduler.waiting))
    assert names(scheduler.running) == ["old"]
    assert names(list(scheduler.waiting)) == ["young", "late"]
    assert (young.num_computed, young.block_table, young.num_preemptions) == (0, [], 1)
    for _ in range(2):
        assert names([c.sequence for c in run(scheduler).chunks]) == ["old"]
    step = run(scheduler)
    assert names([c.sequence for c in step.chunks]) == ["young", "late"]
    assert names(step.admitted) == ["late"], "the other was admitted before"


def test_a_single_sequence_that_fits_exactly_finishes() -> None:
    scheduler = make(pages=5)
    scheduler.add([sequence("a", 3, 5 * PAGE_SIZE - 3)])
    for _ in range(5 * PAGE_SIZE):
        if scheduler.has_work:
            run(scheduler)
    assert not scheduler.has_work
    assert scheduler.pages.num_free == 5


def test_requests_are_removed_running_or_waiting() -> None:
    scheduler = make(seqs=2)
    two = request("two", [1, 2], 8, choices=3)
    scheduler.add([SequenceState(two, c) for c in range(3)])
    scheduler.add([sequence("other", 2)])
    run(scheduler)
    assert sorted(s.choice for s in scheduler.remove_request("two")) == [0, 1, 2]
    assert scheduler.pages.num_free == scheduler.pages.total
    assert scheduler.remove_request("two") == []
    assert names(run(scheduler).admitted) == ["other"]


def test_a_budget_that_decoding_could_exhaust_is_rejected() -> None:
    with pytest.raises(ValueError, match="must exceed"):
        SchedulerConfig(max_num_seqs=8, max_num_batched_tokens=8, page_size=PAGE_SIZE)


@pytest.mark.parametrize(
    ("budget", "needs", "shares"),
    [
        (10, [], []),
        (0, [3, 4], [0, 0]),
        (10, [3, 4], [3, 4]),
        (10, [100], [10]),
        (10, [100, 2], [8, 2]),
        (10, [100, 100], [5, 5]),
        (11, [100, 100, 1], [5, 5, 1]),
        (11, [100, 100], [6, 5]),
        (2, [5, 5, 5], [1, 1, 0]),
    ],
)
def test_fair_shares(budget: int, needs: list[int], shares: list[int]) -> None:
    assert fair_shares(budget, needs) == shares


def test_fair_shares_use_the_budget_and_are_max_min_fair() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        needs = [rng.choice((1, 1, 5, 60)) for _ in range(rng.randint(1, 9))]
        budget = rng.randint(0, 90)
        shares = fair_shares(budget, needs)
        assert all(0 <= share <= need for share, need in zip(shares, needs, strict=True))
        assert sum(shares) == min(budget, sum(needs))
        unmet = [share for share, need in zip(shares, needs, strict=True) if share < need]
        if unmet:
            assert max(shares) <= max(unmet) + len(needs)
            assert budget < len(needs) or min(shares) >= 1


@pytest.mark.parametrize(("fails", "drafts"), [(0.0, 0), (0.03, 0), (0.0, 4), (0.03, 2)])
@pytest.mark.parametrize("prefixes", [0, 1, 3])
@pytest.mark.parametrize(
    ("pages", "seqs", "budget", "threshold"),
    [(9, 4, 6, None), (14, 8, 9, 3), (40, 8, 24, 7), (12, 3, 64, None), (300, 8, 24, None)],
)
def test_random_workloads_finish(
    pages: int,
    seqs: int,
    budget: int,
    threshold: int | None,
    prefixes: int,
    fails: float,
    drafts: int,
) -> None:
    rng = random.Random(f"{pages} {seqs} {prefixes} {fails} {drafts}")
    scheduler = make(pages, seqs, budget, threshold)
    simulation = Simulation(scheduler, rng, pages * PAGE_SIZE, prefixes, drafts=drafts)
    for _ in range(1000):
        if rng.random() < 0.12:
            simulation.submit()
        if rng.random() < 0.02:
            simulation.cancel()
        if scheduler.has_work:
            simulation.step(fails=fails)
    left = 200 * (len(scheduler.waiting) + len(scheduler.running))
    while scheduler.has_work:
        simulation.step()
        left -= 1
        assert left > 0, "a sequence starves"
    assert set(simulation.finished.values()) == {1}
    assert len(simulation.finished) + simulation.removed == simulation.submitted
    assert scheduler.pages.num_free == pages
    assert scheduler.prefix_cache.hits > 0
    assert bool(simulation.accepted) is bool(drafts)


def test_small_pools_preempt() -> None:
    scheduler = make(pages=14, seqs=8, budget=9)
    simulation = Simulation(scheduler, random.Random(1), 14 * PAGE_SIZE)
    for _ in range(20):
        simulation.submit()
    while scheduler.has_work:
        simulation.step()
    assert scheduler.num_preemptions > 0


def decoding(prompts: dict[str, int], *, pages: int = 40, tokens: int = 8) -> Scheduler:
    """Return a scheduler whose sequences have sampled their first tokens."""
    scheduler = make(pages=pages)
    scheduler.add(sequence(name, prompt, tokens) for name, prompt in prompts.items())
    run(scheduler)
    return scheduler


def test_a_step_ahead_decodes_the_tokens_of_the_step_before() -> None:
    scheduler = decoding({"a": 2, "b": 5})
    step = scheduler.schedule()
    ahead = scheduler.schedule_ahead(step)
    assert ahead is not None
    assert [(c.sequence.request.id, c.start, c.length) for c in ahead.chunks] == [
        ("a", 3, 1),
        ("b", 6, 1),
    ]
    assert all(c.is_sampled for c in ahead.chunks)
    assert all(len(c.sequence.block_table) * PAGE_SIZE >= c.end for c in ahead.chunks)
    scheduler.commit(step)
    for chunk in step.chunks:
        chunk.sequence.append(7)
    assert [(c.start, c.end, c.completes) for c in ahead.chunks] == [(3, 4, True), (6, 7, True)]


def test_a_sequence_that_ends_with_its_token_is_not_in_the_step_ahead() -> None:
    scheduler = decoding({"a": 2, "b": 5})
    last, _ = scheduler.running
    while last.num_output_tokens + 1 < last.request.max_tokens:
        last.append(7)
        last.num_computed += 1
    ahead = scheduler.schedule_ahead(scheduler.schedule())
    assert ahead is not None
    assert [c.sequence.request.id for c in ahead.chunks] == ["b"]


def test_there_is_no_step_ahead_of_the_last_tokens() -> None:
    scheduler = decoding({"a": 2}, tokens=2)
    assert scheduler.schedule_ahead(scheduler.schedule()) is None


def test_there_is_no_step_ahead_while_sequences_wait_or_are_in_prefill() -> None:
    scheduler = decoding({"a": 2})
    scheduler.add([sequence("late", 3)])
    waiting = Step((Chunk(scheduler.running[0], scheduler.running[0].num_computed, 1),), ())
    assert scheduler.schedule_ahead(waiting) is None
    scheduler.config = replace(scheduler.config, max_num_seqs=1)
    assert scheduler.schedule_ahead(waiting) is not None  # there is no place for the late one
    scheduler = decoding({"a": 2})
    scheduler.add([sequence("long", 60)])
    step = scheduler.schedule()
    assert not all(c.is_sampled for c in step.chunks)
    assert scheduler.schedule_ahead(step) is None


def test_there_is_no_step_ahead_without_free_pages() -> None:
    scheduler = decoding({"a": PAGE_SIZE - 1}, pages=1)
    step = scheduler.schedule()
    assert scheduler.schedule_ahead(step) is None
    assert scheduler.num_preemptions == 0
