"""The choice of draft tokens on simulated machines."""

import random
from dataclasses import dataclass, field, replace

import pytest

from sizeup_inference.engine.drafting.policy import MAX_DRAFT_TOKENS, DraftPolicy, Load

ROWS_OF_A_PROMPT = 100
CATCH_UP = 64
"""Tokens that the draft model computes beside those of a step."""
STEPS = 600


@dataclass
class Machine:
    """Seconds: of the model's weights, of each of its rows, of the draft model's and of each."""

    weights: float
    row: float
    draft: float
    draft_row: float
    noise: float = 0.1
    """Standard deviation over the duration."""
    interrupted: float = 0.0
    """Probability of a step that takes ten times as long."""

    def plain(self, sequences: int) -> float:
        return self.weights + self.row * sequences

    def drafting(self, sequences: int, k: int) -> float:
        return k * (self.draft + self.draft_row * sequences)

    def step(self, sequences: int, k: int) -> float:
        return self.plain(sequences) + self.row * sequences * k + self.drafting(sequences, k)

    def speed(self, sequences: int, acceptance: float, k: int) -> float:
        """Return the tokens a second of a constant number of draft tokens."""
        tokens = sequences * sum(acceptance**i for i in range(k + 1))
        return tokens / self.step(sequences, k)


MACHINES = {
    "rows are cheap": Machine(0.1, 0.001, 0.008, 0.0001),
    "gpu": Machine(0.01, 1e-5, 0.002, 1e-6),
    "rows are dear": Machine(0.02, 0.01, 0.004, 0.001),
    "a third of the size": Machine(0.1, 0.002, 0.033, 0.0007),
    "noisy": Machine(0.1, 0.001, 0.008, 0.0001, noise=0.3, interrupted=0.02),
}


@dataclass
class Server:
    """Decodes with a policy in simulated time."""

    machine: Machine
    policy: DraftPolicy = field(default_factory=DraftPolicy)
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    missing: int = 0
    """Tokens that the draft model lacks."""
    lengths: list[int] = field(default_factory=list)
    """Draft tokens of each step."""

    def __post_init__(self) -> None:
        # As while loading, and for the first prompt.
        for rows in (1, ROWS_OF_A_PROMPT):
            self.policy.observe_draft(rows, self.machine.draft + self.machine.draft_row * rows)

    def speed(self, sequences: int, acceptance: float, steps: int) -> float:
        """Run steps; return their tokens over their exact seconds."""
        tokens = seconds = 0.0
        for _ in range(steps):
            step_tokens, step_seconds = self.step(sequences, acceptance)
            tokens += step_tokens
            seconds += step_seconds
        return tokens / seconds

    def step(self, sequences: int, acceptance: float) -> tuple[int, float]:
        load = Load(sequences, sequences, self.missing, sequences, sequences)
        k = self.policy.tokens(load)
        rows = [sequences] * k
        if k and self.missing:
            late = min(self.missing, CATCH_UP)
            self.missing -= late
            rows[0] += late
            if self.missing:
                rows, k = rows[:1], 0
        self.lengths.append(k)
        drafts = [self._draft(n) for n in rows]
        accepted = [self._accept(acceptance, k) for _ in range(sequences)]
        if not rows:
            self.missing += sequences
        exact = self.machine.plain(sequences) + self.machine.row * sequences * k
        measured, by_draft = self._noisy(exact), sum(m for _, m in drafts)
        self.policy.observe(load, sequences * k, measured, by_draft)
        return sequences + sum(accepted), exact + sum(e for e, _ in drafts)

    def _draft(self, rows: int) -> tuple[float, float]:
        """Return the exact and the measured seconds."""
        exact = self.machine.draft + self.machine.draft_row * rows
        measured = self._noisy(exact)
        self.policy.observe_draft(rows, measured)
        return exact, measured

    def _noisy(self, seconds: float) -> float:
        if self.rng.random() < self.machine.interrupted:
            return 10 * seconds
        return seconds * max(0.5, self.rng.gauss(1, self.machine.noise))

    def _accept(self, acceptance: float, k: int) -> int:
        if not k:
            return 0
        accepted = next((i for i in range(k) if self.rng.random() >= acceptance), k)
        self.policy.observe_tokens(min(accepted + 1, k), accepted)
        return accepted


def decoding(sequences: int) -> Load:
    return Load(sequences, sequences, missing=0, decodes=sequences, unfinished=sequences)


def prefill(sequences: int, unfinished: int) -> Load:
    return Load(sequences, sequences, 64 * sequences, decodes=0, unfinished=unfinished)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("sequences", [1, 4, 16, 64])
@pytest.mark.parametrize("acceptance", [0.0, 0.3, 0.6, 0.8, 0.95])
def test_it_is_near_the_best_constant_choice_and_never_much_below_none(
    name: str, sequences: int, acceptance: float
) -> None:
    machine = MACHINES[name]
    speeds = [machine.speed(sequences, acceptance, k) for k in range(MAX_DRAFT_TOKENS + 1)]
    reached = Server(machine).speed(sequences, acceptance, STEPS)
    assert reached >= 0.96 * speeds[0]
    assert reached >= 0.88 * max(speeds)


def test_it_does_not_draft_where_the_batch_is_too_large() -> None:
    server = Server(MACHINES["rows are dear"])
    server.speed(1, 0.8, 200)
    assert sum(server.lengths[-50:]) > 50
    server.speed(64, 0.8, 200)
    assert sum(server.lengths[-100:]) <= 6
    server.missing = 200  # those of the sequence that is left
    server.speed(1, 0.8, 100)
    assert sum(server.lengths[-50:]) > 50


def test_it_notices_that_drafts_are_accepted_again() -> None:
    server = Server(MACHINES["rows are cheap"])
    server.speed(1, 0.0, 400)
    assert sum(server.lengths[-100:]) <= 24
    server.speed(1, 0.9, 400)
    assert sum(server.lengths[-50:]) > 100


def test_what_the_draft_model_lacks_is_part_of_the_cost_of_a_trial() -> None:
    server = Server(MACHINES["rows are cheap"])
    server.speed(1, 0.0, 200)
    server.missing = 100_000
    before = len(server.lengths)
    assert server.speed(1, 0.0, 200) >= 0.96 * server.machine.speed(1, 0.0, 0)
    assert not any(server.lengths[before:])


def test_a_plain_step_is_measured_before_the_first_draft_of_decoding_sequences() -> None:
    policy = DraftPolicy()
    assert policy.tokens(decoding(2)) == 0
    policy.observe(decoding(2), 0, 0.1, 0.0)
    assert policy.tokens(decoding(2)) > 0


def test_it_follows_the_first_prompts() -> None:
    assert DraftPolicy().tokens(prefill(1, unfinished=1)) > 0


def test_nothing_is_drafted_without_a_sequence_that_can_be() -> None:
    policy = DraftPolicy()
    policy.observe(decoding(2), 0, 0.1, 0.0)
    assert policy.tokens(replace(decoding(2), draftable=0)) == 0


def test_prompts_of_a_batch_that_is_too_large_for_drafts_are_not_computed_twice() -> None:
    server = Server(MACHINES["rows are dear"])
    for sequences in (1, 16):
        server.speed(sequences, 0.6, 200)
    assert server.policy.tokens(prefill(2, unfinished=16)) == 0
    server = Server(MACHINES["rows are cheap"])
    for sequences in (1, 16):
        server.speed(sequences, 0.9, 200)
    assert server.policy.tokens(prefill(2, unfinished=16)) > 0
