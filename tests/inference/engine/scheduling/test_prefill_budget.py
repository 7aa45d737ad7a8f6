"""The prefill budget on simulated machines."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from inference.engine.engines import request
from inference.engine.scheduling.simulation import PAGE_SIZE
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.prefill_budget import PrefillBudget
from sizeup_inference.engine.scheduling.scheduler import Scheduler, SchedulerConfig, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

BUDGET = 512


@dataclass
class Machine:
    """Seconds of a step: the weights, each row, each token of prefill, each key of a token."""

    weights: float
    row: float
    token: float
    pair: float
    noise: float = 0.1
    """Standard deviation over the duration."""
    interrupted: float = 0.0
    """Probability of a step that takes ten times as long."""
    free_tokens: int = 0
    """Rows that cost nothing beside the weights."""
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def seconds(self, step: Step) -> float:
        tokens = sum(c.length for c in step.chunks if c.length > 1)
        pairs = sum(c.pairs for c in step.chunks if c.length > 1)
        decodes = sum(c.length == 1 for c in step.chunks)
        exact = self.weights + self.row * decodes + self.pair * pairs
        exact += self.token * max(0, tokens - self.free_tokens)
        if self.rng.random() < self.interrupted:
            return 10 * exact
        return exact * max(0.5, self.rng.gauss(1, self.noise))


MACHINES = {
    "cpu": Machine(0.1, 0.001, 0.0025, 1e-7),
    "gpu": Machine(0.01, 1e-5, 3e-5, 1e-9),
    "long context": Machine(0.05, 0.001, 0.001, 2e-7),
    "rows are cheap at first": Machine(0.1, 0.0, 0.003, 1e-7, free_tokens=24),
    "interrupted": Machine(0.1, 0.001, 0.0025, 1e-7, interrupted=0.02),
    "slow": Machine(2.0, 0.02, 0.3, 1e-5),
}


class Server:
    """A scheduler on a machine, with the simulated time."""

    def __init__(self, machine: Machine) -> None:
        config = SchedulerConfig(64, BUDGET, 16, enable_prefix_caching=False)
        self.scheduler = Scheduler(config, PageAllocator(100_000))
        self.machine = machine
        self.made = 0

    def add(self, prompt: int, tokens: int, count: int = 1) -> list[SequenceState]:
        made = []
        for _ in range(count):
            made.append(SequenceState(request(f"r{self.made}", [1] * prompt, tokens), 0))
            self.made += 1
        self.scheduler.add(made)
        return made

    def step(self) -> tuple[Step, float]:
        step = self.scheduler.schedule()
        assert step.chunks
        seconds = self.machine.seconds(step)
        self.scheduler.commit(step)
        for chunk in step.chunks:
            if chunk.completes and chunk.sequence.append(1) is not None:
                self.scheduler.remove(chunk.sequence)
        self.scheduler.observe(step, seconds)
        return step, seconds

    def steps_until(self, done: Callable[[], bool]) -> list[float]:
        seconds = []
        while not done():
            seconds.append(self.step()[1])
        return seconds


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("streams", [1, 8])
def test_a_long_prompt_delays_decoding_sequences_by_a_bounded_factor(
    name: str, streams: int
) -> None:
    server = Server(MACHINES[name])
    first, *_ = server.add(20, 10_000, streams)
    idle = server.steps_until(lambda: first.num_output_tokens > 100)[5:]
    (long,) = server.add(30_000, 1)
    busy = server.steps_until(lambda: long.num_computed >= 30_000)
    if MACHINES[name].interrupted:
        idle, busy = ([s for s in steps if s < 9 * min(idle)] for steps in (idle, busy))
    assert p99(busy) < 3 * p99(idle)


@pytest.mark.parametrize("name", ["cpu", "gpu", "rows are cheap at first"])
def test_a_prompt_keeps_most_of_its_throughput(name: str) -> None:
    """Three fifths of each step are its own, less the probes."""
    machine = MACHINES[name]
    alone = Server(machine)
    (sequence,) = alone.add(8_000, 2)
    unshared = sum(alone.steps_until(lambda: sequence.num_computed >= 8_000))
    server = Server(machine)
    first, *_ = server.add(20, 100_000, 4)
    server.steps_until(lambda: first.num_output_tokens > 40)
    (long,) = server.add(8_000, 2)
    shared = sum(server.steps_until(lambda: long.num_computed >= 8_000))
    assert unshared / shared > 0.5


def test_nothing_is_held_back_where_nothing_decodes() -> None:
    budget = PrefillBudget(BUDGET)
    assert budget.tokens(0, 0) == BUDGET
    budget.observe(0, BUDGET, BUDGET**2 / 2, 100.0)
    assert budget.tokens(0, 10_000) == BUDGET


def test_a_step_of_decodes_is_measured_first_and_again() -> None:
    budget = PrefillBudget(BUDGET)
    assert budget.tokens(3, 0) == BUDGET - 3
    budget.observe(0, 100, 5000, 0.1)
    assert budget.tokens(3, 0) == 0
    budget.observe(3, 0, 0, 0.1)
    granted = []
    for _ in range(100):
        tokens = budget.tokens(3, 0)
        granted.append(tokens)
        budget.observe(3, tokens, tokens**2 / 2, 0.1 + 0.001 * tokens)
    assert 0 < granted.count(0) <= 4
    assert max(granted[50:]) in range(140, 155)  # 1.5 * 0.1 s / 0.001 s


@pytest.mark.parametrize("seconds_per_token", [1e-9, 10.0])
def test_the_budget_stays_within_its_bounds(seconds_per_token: float) -> None:
    budget = PrefillBudget(BUDGET)
    budget.observe(5, 0, 0, 0.1)
    for _ in range(20):
        tokens = budget.tokens(5, 100)
        assert 4 <= tokens <= BUDGET - 5
        budget.observe(5, tokens, 100.0 * tokens, 0.1 + seconds_per_token * tokens)
    assert tokens == (4 if seconds_per_token > 1 else BUDGET - 5)


def test_a_change_of_the_machine_is_followed() -> None:
    """Such as a neighbour that takes half of the cores."""
    server = Server(Machine(0.1, 0.001, 0.0025, 1e-7))
    first, *_ = server.add(20, 100_000, 4)
    server.steps_until(lambda: first.num_output_tokens > 40)
    server.machine = Machine(0.2, 0.002, 0.005, 2e-7)
    (long,) = server.add(20_000, 2)
    seconds = server.steps_until(lambda: long.num_computed >= 20_000)
    assert p99(seconds[100:]) < 3 * 0.208
    assert sum(seconds[100:]) / len(seconds[100:]) > 1.8 * 0.208


def test_a_page_is_granted_from_the_smallest_pools() -> None:
    """A scheduler with max_num_batched_tokens just above max_num_seqs makes progress."""
    config = SchedulerConfig(8, 9, PAGE_SIZE)
    scheduler = Scheduler(config, PageAllocator(100))
    scheduler.add(
        [SequenceState(request(f"r{i}", range(10 * i, 10 * i + 9), 3), 0) for i in range(8)]
    )
    while scheduler.has_work:
        step = scheduler.schedule()
        assert 0 < sum(c.length for c in step.chunks) <= 9
        scheduler.commit(step)
        for chunk in [c for c in step.chunks if c.completes]:
            if chunk.sequence.append(1) is not None:
                scheduler.remove(chunk.sequence)
        scheduler.observe(step, 1.0)
