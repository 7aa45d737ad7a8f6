"""Sampling by the C kernels and by torch, against transformers' logits processors, and OpenAI's
penalties by their formula."""

import math
import random
from dataclasses import replace

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from inference.engine.sampling.rows import VOCABULARY, logits_row, sequence_of
from sizeup_inference.engine.kernels.sampling import SamplingKernels
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.engine.sampling.sampler import KERNELS, Sampled, adjust, sample
from sizeup_inference.engine.scheduling.sequence import Uniforms

torch.set_num_threads(1)

REAL_VOCABULARY = 151_936
GRID = 500
"""Draws over [0, 1): the share of a token is its probability to within one draw."""

Kernels = SamplingKernels | None


@pytest.fixture(params=["torch", "compiled"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """None: torch computes the rows."""
    if request.param == "torch":
        return None
    assert KERNELS is not None
    return KERNELS


class FixedUniform(Uniforms):
    """A generator of one number."""

    def __init__(self, uniform: float) -> None:
        super().__init__(seed=0)
        self._uniform = uniform

    def random(self) -> float:
        return self._uniform


def draw(row: torch.Tensor, params: SamplingParams, uniform: float, kernels: Kernels) -> int:
    sequence = sequence_of(params)
    sequence.generator = FixedUniform(uniform)
    drawn = sample(row[None], [sequence], kernels)[0]
    assert drawn is not None
    return drawn.token_id


def warped(row: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Return transformers' probabilities."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(params.temperature)])
    if params.top_k:
        warpers.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        warpers.append(TopPLogitsWarper(params.top_p))
    if params.min_p:
        warpers.append(MinPLogitsWarper(params.min_p))
    ids = torch.zeros(1, 1, dtype=torch.long)
    return torch.softmax(warpers(ids, row[None].clone())[0].double(), -1)  # type: ignore[arg-type]


def frequencies(row: torch.Tensor, params: SamplingParams, kernels: Kernels) -> torch.Tensor:
    """Return the frequency of each token over an even grid of `uniform`."""
    drawn = torch.tensor([draw(row, params, (i + 0.5) / GRID, kernels) for i in range(GRID)])
    return torch.bincount(drawn, minlength=len(row)).double() / GRID


FILTERS = [
    SamplingParams(),
    SamplingParams(temperature=0.3),
    SamplingParams(temperature=3.0),
    SamplingParams(top_k=1),
    SamplingParams(top_k=5),
    SamplingParams(top_k=VOCABULARY),
    SamplingParams(top_k=10 * VOCABULARY),
    SamplingParams(top_p=0.1),
    SamplingParams(top_p=0.8),
    SamplingParams(top_p=0.999),
    SamplingParams(min_p=0.05),
    SamplingParams(min_p=1.0),
    SamplingParams(temperature=0.7, top_k=20, top_p=0.8),
    SamplingParams(temperature=1.5, top_k=12, top_p=0.9, min_p=0.1),
    SamplingParams(temperature=2.0, top_p=0.9, min_p=0.05),
]


@pytest.mark.parametrize("params", FILTERS)
def test_draws_with_the_probabilities_of_transformers(
    params: SamplingParams, kernels: Kernels
) -> None:
    row = logits_row(seed=3)
    expected = warped(row, params)
    drawn = frequencies(row, params, kernels)
    assert not drawn[expected == 0].any(), "a token that is filtered out"
    assert float((drawn - expected).abs().max()) <= 1.01 / GRID
    assert drawn[expected > 2 / GRID].all()


@pytest.mark.parametrize("params", FILTERS)
def test_the_ends_of_the_unit_interval_draw_allowed_tokens(
    params: SamplingParams, kernels: Kernels
) -> None:
    allowed = warped(logits_row(seed=4), params).nonzero().flatten().tolist()
    for uniform in (0.0, math.nextafter(1.0, 0.0)):
        assert draw(logits_row(seed=4), params, uniform, kernels) in allowed


@pytest.mark.parametrize(
    ("params", "spread"),
    [
        (SamplingParams(top_p=0.9), 3.0),
        (SamplingParams(top_p=0.9, temperature=2.0), 0.1),
        (SamplingParams(min_p=0.5), 0.01),
        (SamplingParams(min_p=0.2, top_p=0.5), 0.5),
        (SamplingParams(top_k=50_000, top_p=0.95), 0.1),
    ],
)
def test_a_real_vocabulary_keeps_the_tokens_transformers_keeps(
    params: SamplingParams, spread: float, kernels: Kernels
) -> None:
    """Of peaked rows the nucleus is a few tokens; of flat ones it is most of the vocabulary."""
    row = logits_row(REAL_VOCABULARY, seed=5, spread=spread)
    expected = warped(row.double(), params)
    cdf = expected.cumsum(0)
    for uniform in (0.0, 0.25, 0.5, 0.75, math.nextafter(1.0, 0.0)):
        token_id = draw(row, params, uniform, kernels)
        assert expected[token_id] > 0
        assert uniform - 1e-6 <= cdf[token_id] <= uniform + float(expected[token_id]) + 1e-6


@pytest.mark.parametrize("temperature", [1e-300, 1e-40, 1e-7, 1e-5])
@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_a_temperature_close_to_zero_is_greedy(
    temperature: float, top_p: float, kernels: Kernels
) -> None:
    params = SamplingParams(temperature=temperature, top_p=top_p)
    for size in (VOCABULARY, 5000):
        row = logits_row(size, seed=6) + 20
        assert {draw(row, params, u, kernels) for u in (0.0, 0.5, 0.99)} == {int(row.argmax())}


def test_a_low_temperature_cuts_the_nucleus_by_probability(kernels: Kernels) -> None:
    """Two tokens at 0.87 and 0.13: the nucleus of 0.5 is the first, that of 0.9 is both."""
    row = torch.full((2000,), -50.0)
    row[7] = 20.0
    row[3] = torch.nextafter(row[7], torch.tensor(0.0))  # 1.9e-6 below
    for top_p, allowed in ((0.5, {7}), (0.9, {3, 7})):
        params = SamplingParams(temperature=1e-6, top_p=top_p)
        assert {draw(row, params, u, kernels) for u in (0.0, 0.3, 0.999)} == allowed


def test_nearly_equal_tokens_draw_the_same_when_rounding_swaps_their_ranks(
    kernels: Kernels,
) -> None:
    row = torch.full((VOCABULARY,), -20.0)
    row[10], row[40] = 1.0, 1.0 + 1e-6
    swapped = row.clone()
    swapped[10], swapped[40] = row[40], row[10]
    params = SamplingParams(top_k=20, top_p=0.95)
    for uniform in (0.1, 0.4, 0.6, 0.9):
        assert draw(row, params, uniform, kernels) == draw(swapped, params, uniform, kernels)


@pytest.mark.parametrize("penalty", [0.5, 1.3, 2.0])
def test_repetition_penalty_equals_transformers(penalty: float, kernels: Kernels) -> None:
    row = logits_row(seed=7)
    prompt, answer = [1, 2, 2, 30], [4, 4, 5]
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(
        torch.tensor([prompt + answer]),
        row[None].clone(),
    )[0]
    adjust(row, sequence_of(SamplingParams(repetition_penalty=penalty), prompt, answer), kernels)
    assert torch.equal(row, theirs)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1.0])
def test_a_repetition_penalty_close_to_zero_leaves_logits_finite(
    temperature: float, kernels: Kernels
) -> None:
    params = SamplingParams(temperature=temperature, repetition_penalty=5e-324)
    row = logits_row(seed=7).abs() + 1
    sequence = sequence_of(params, [1, 2], [4])
    [sampled] = sample(row[None], [sequence], kernels)
    assert row.isfinite().all()
    assert sampled is not None
    assert sampled.token_id in {1, 2, 4}


@pytest.mark.parametrize(
    ("window", "touched"),
    [(0, set()), (1, {5}), (2, {4, 5}), (4, {2, 4, 5}), (99, {1, 2, 4, 5}), (-1, {1, 2, 4, 5})],
)
def test_repeat_last_n_bounds_the_window_of_the_penalty(
    window: int, touched: set[int], kernels: Kernels
) -> None:
    params = SamplingParams(repetition_penalty=2.0, repeat_last_n=window)
    before = logits_row(seed=8)
    row = before.clone()
    adjust(row, sequence_of(params, [1, 2], [4, 4, 5]), kernels)
    assert set((row != before).nonzero().flatten().tolist()) == touched


def test_presence_and_frequency_penalties_count_output_only() -> None:
    before = logits_row(seed=9)
    row = before.clone()
    params = SamplingParams(presence_penalty=0.5, frequency_penalty=0.25)
    adjust(row, sequence_of(params, [1, 2, 2], [4, 4, 5]))
    expected = before.clone()
    expected[4] -= 0.5 + 2 * 0.25
    expected[5] -= 0.5 + 1 * 0.25
    torch.testing.assert_close(row, expected)


def test_negative_penalties_encourage() -> None:
    row = torch.zeros(VOCABULARY)
    params = SamplingParams(presence_penalty=-1.0, frequency_penalty=-2.0)
    adjust(row, sequence_of(params, [1], [4, 4]))
    assert float(row[4]) == 5.0


def test_logit_bias_equals_transformers() -> None:
    row = logits_row(seed=10)
    bias = {3: 5.0, 17: -100.0, 0: 0.5}
    processor = SequenceBiasLogitsProcessor([[[i], b] for i, b in bias.items()])
    theirs = processor(torch.tensor([[1, 2]]), row[None].clone())[0]
    adjust(row, sequence_of(SamplingParams(logit_bias=bias)))
    torch.testing.assert_close(row, theirs)


def test_tokens_outside_the_vocabulary_are_ignored() -> None:
    outside = (-1, VOCABULARY, 10**6, 2**70)
    before = logits_row(seed=11)
    row = before.clone()
    params = SamplingParams(logit_bias=dict.fromkeys(outside, 9.0))
    adjust(row, sequence_of(params, min_tokens=3, stop=outside))
    assert torch.equal(row, before)


@pytest.mark.parametrize("answered", [0, 1, 2, 3])
def test_min_tokens_masks_stop_tokens_like_transformers(answered: int) -> None:
    row, prompt, answer = logits_row(seed=12), [1, 2], [4] * answered
    processor = MinNewTokensLengthLogitsProcessor(len(prompt), 2, [7, 8])
    theirs = processor(torch.tensor([prompt + answer]), row[None].clone())[0]
    adjust(row, sequence_of(SamplingParams(), prompt, answer, min_tokens=2, stop=[7, 8]))
    assert torch.equal(row, theirs)


def sampled(row: torch.Tensor, sampling: SamplingParams, kernels: Kernels) -> Sampled:
    drawn = sample(row[None].clone(), [sequence_of(sampling)], kernels)[0]
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("params", [*FILTERS, SamplingParams(temperature=0)])
@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_an_invalid_row_samples_nothing_and_affects_no_other(
    params: SamplingParams, spoilt: float, kernels: Kernels
) -> None:
    rows = torch.stack([logits_row(seed=i) for i in range(3)])
    rows[1, 7] = spoilt
    first, middle, last = sample(rows.clone(), [sequence_of(replace(params, seed=1))] * 3, kernels)
    assert middle is None
    assert first is not None
    assert last is not None


def test_a_fully_masked_row_samples_nothing(kernels: Kernels) -> None:
    forbidding = sequence_of(SamplingParams(), min_tokens=1, stop=range(VOCABULARY))
    assert sample(logits_row()[None], [forbidding], kernels) == [None]


def test_logprobs_are_finite_whatever_the_penalty(kernels: Kernels) -> None:
    row = torch.full((VOCABULARY,), -3e38)
    row[7] = 3e38
    logprobs = sampled(row, SamplingParams(temperature=0, logprobs=3), kernels).logprobs
    assert logprobs is not None
    assert [value for _, value in logprobs.top] == [0.0, -9999.0, -9999.0]


def test_greedy_takes_the_largest_logit_after_the_bias(kernels: Kernels) -> None:
    row = logits_row(seed=13)
    assert sampled(row, SamplingParams(temperature=0), kernels).token_id == int(row.argmax())
    biased = SamplingParams(temperature=0, logit_bias={41: 100.0})
    assert sampled(row, biased, kernels).token_id == 41


def test_logprobs_are_normalised_and_ordered(kernels: Kernels) -> None:
    row = logits_row(seed=14)
    token_id, logprobs = sampled(
        row, SamplingParams(temperature=0.5, seed=1, logprobs=VOCABULARY), kernels
    )
    assert logprobs is not None
    values = [value for _, value in logprobs.top]
    assert values == sorted(values, reverse=True)
    assert math.isclose(sum(math.exp(v) for v in values), 1.0, abs_tol=1e-5)
    assert logprobs.chosen == pytest.approx(dict(logprobs.top)[token_id])
    expected = torch.log_softmax(row, -1)
    assert logprobs.chosen == pytest.approx(float(expected[token_id])), "before temperature"


def test_logprobs_have_the_requested_count(kernels: Kernels) -> None:
    row = logits_row(seed=15)
    assert sampled(row, SamplingParams(temperature=0), kernels).logprobs is None
    for count in (0, 1, 5):
        logprobs = sampled(row, SamplingParams(temperature=0, logprobs=count), kernels).logprobs
        assert logprobs is not None
        assert len(logprobs.top) == count


def test_logprobs_are_after_penalties_and_bias(kernels: Kernels) -> None:
    row = torch.zeros(VOCABULARY)
    params = SamplingParams(temperature=0, logit_bias={3: 100.0}, logprobs=1)
    assert sampled(row, params, kernels).logprobs is not None
    assert sampled(row, params, kernels)[1].chosen == pytest.approx(0.0, abs=1e-6)  # type: ignore[union-attr]


def test_rows_have_separate_parameters(kernels: Kernels) -> None:
    rng = random.Random(1)
    choices = [*FILTERS, SamplingParams(temperature=0), SamplingParams(logit_bias={5: 3.0})]
    params = [replace(rng.choice(choices), seed=i) for i in range(32)]
    rows = torch.stack([logits_row(seed=i) for i in range(32)])
    together = sample(rows.clone(), [sequence_of(p) for p in params], kernels)
    alone = [sampled(row, p, kernels) for row, p in zip(rows, params, strict=True)]
    assert together == alone


def test_no_sequences_no_tokens(kernels: Kernels) -> None:
    assert sample(torch.empty(0, 0), [], kernels) == []
