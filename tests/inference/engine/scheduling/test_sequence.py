"""Sequence state: finish conditions, generator, and preemption."""

from inference.engine.engines import request
from sizeup_inference.engine.protocol import Finish, Pooling, SamplingParams
from sizeup_inference.engine.scheduling.sequence import SequenceState

STOP, OTHER = 9, 4


def sequence(
    tokens: int = 3, *, min_tokens: int = 0, embed: Pooling | None = None, seed: int | None = None
) -> SequenceState:
    sampling = SamplingParams(seed=seed)
    made = request("a", [1, 2], tokens, sampling, stop=[STOP], min_tokens=min_tokens, embed=embed)
    return SequenceState(made, 0)


def test_ends_at_max_tokens() -> None:
    s = sequence(tokens=2)
    assert [s.append(OTHER), s.append(OTHER)] == [None, Finish.LENGTH]


def test_ends_after_one_token_for_max_tokens_one() -> None:
    assert sequence(tokens=1).append(OTHER) is Finish.LENGTH


def test_a_stop_token_at_max_tokens_is_a_stop() -> None:
    s = sequence(tokens=2)
    assert [s.append(OTHER), s.append(STOP)] == [None, Finish.STOP]


def test_stop_tokens_end_it_only_after_min_tokens() -> None:
    s = sequence(tokens=4, min_tokens=2)
    assert [s.append(STOP), s.append(STOP), s.append(STOP)] == [None, None, Finish.STOP]


def test_counts_prompt_output_and_pending_tokens() -> None:
    s = sequence(tokens=5)
    assert (s.num_tokens, s.num_output_tokens, s.num_pending) == (2, 0, 2)
    s.num_computed = 2
    s.append(OTHER)
    s.append(OTHER)
    assert (s.num_tokens, s.num_output_tokens, s.num_pending) == (4, 2, 2)
    assert s.output_counts == {OTHER: 2}


def test_preemption_keeps_output_and_generator() -> None:
    s, untouched = sequence(seed=1), sequence(seed=1)
    s.num_computed = 2
    s.append(OTHER)
    first = s.generator.random()
    s.reset_computed()
    assert (s.num_pending, s.num_preemptions) == (3, 1)
    assert s.token_ids == [1, 2, OTHER]
    drawn = [first, s.generator.random()]
    assert drawn == [untouched.generator.random(), untouched.generator.random()]


def test_choices_draw_from_consecutive_seeds() -> None:
    first = request("a", [1], sampling=SamplingParams(seed=5))
    second = request("b", [1], sampling=SamplingParams(seed=6))
    assert SequenceState(first, 1).generator.random() == SequenceState(second, 0).generator.random()
    assert SequenceState(first, 0).generator.random() != SequenceState(first, 1).generator.random()
