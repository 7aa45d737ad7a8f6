"""The compiled sampling, by each instruction set, against a sort of the row in float64."""

import functools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sizeup_inference.engine.kernels.sampling import SamplingKernels, load_sampling
from sizeup_inference.engine.protocol import Logprobs, SamplingParams

INSTRUCTION_SETS = ["portable", "avx2", "avx512"]
"""By index in the library; a processor without AVX supports the first only."""

SIZES = [1, 15, 16, 17, 255, 257, 1000, 151_936]
"""Around the 16 lanes of a vector and the 256 logits of a block; Qwen's vocabulary."""

ROWS = ["random", "flat", "peaked", "tied", "equal", "masked", "negative"]


@pytest.fixture(params=INSTRUCTION_SETS)
def kernels(request: pytest.FixtureRequest) -> SamplingKernels:
    loaded = load_sampling()
    assert loaded is not None
    index = INSTRUCTION_SETS.index(request.param)
    if index >= loaded.library.sizeup_instruction_sets():
        pytest.skip(f"this processor has no {request.param}")
    return replace(loaded, instructions=index)


def make_row(kind: str, size: int, seed: int = 0) -> torch.Tensor:
    """Return float32[size] at an address that is a multiple of 4 only."""
    generator = torch.Generator().manual_seed(seed)
    row = torch.randn(size + 1, generator=generator)[1:]
    if kind == "flat":
        row *= 0.01
    elif kind == "peaked":
        row *= 2
        row[:: max(1, size // 7)] += torch.arange(len(row[:: max(1, size // 7)])) + 12.0
    elif kind == "tied":
        row.copy_((row * 2).round())
    elif kind == "equal":
        row.fill_(3.0)
    elif kind == "masked":
        row[torch.rand(size, generator=generator) < 0.7] = -torch.inf
        row[size // 2] = 0.0
    elif kind == "negative":
        row *= 5
        row -= 1000.0
    return row


@functools.cache
def filtered(kind: str, size: int, index: int) -> torch.Tensor:
    """Return the probabilities of the tokens that FILTERS[index] keeps: float64[size], else 0."""
    row, params = make_row(kind, size), FILTERS[index]
    order = row.sort(descending=True, stable=True).indices
    if params.top_k:
        order = order[: params.top_k]
    logits = row[order].double()
    weights = torch.softmax((logits - logits[0]) / params.temperature, -1)
    keep = weights >= params.min_p * weights[0]
    if params.top_p < 1:
        keep &= weights.cumsum(-1) - weights < params.top_p
    result = torch.zeros(len(row), dtype=torch.float64)
    result[order[keep]] = weights[keep]
    return result / result.sum()


def sample(
    kernels: SamplingKernels, row: torch.Tensor, params: SamplingParams, uniform: float
) -> int | None:
    return kernels.sample(row.data_ptr(), len(row), params, uniform)


def logprobs(kernels: SamplingKernels, row: torch.Tensor, token: int, count: int) -> Logprobs:
    found = kernels.logprobs(row.data_ptr(), len(row), token, count)
    assert found is not None
    return found


FILTERS = [  # no top_p at the edge of a share of equal ones, where rounding decides
    SamplingParams(),
    SamplingParams(temperature=0.6),
    SamplingParams(temperature=1e-30),
    SamplingParams(temperature=100.0),
    SamplingParams(top_k=1),
    SamplingParams(top_k=20),
    SamplingParams(top_k=300),
    SamplingParams(top_k=1024, temperature=0.7, top_p=0.8013),
    SamplingParams(top_k=20_000, top_p=0.98731, min_p=0.01),
    SamplingParams(top_p=1e-9),
    SamplingParams(top_p=0.1234),
    SamplingParams(top_p=0.9003, temperature=0.7),
    SamplingParams(top_p=0.9903),
    SamplingParams(min_p=0.05),
    SamplingParams(min_p=1.0),
    SamplingParams(temperature=2.0, top_p=0.9503, min_p=0.1),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ROWS)
def test_draws_the_kept_tokens_in_the_order_of_their_ids(
    kernels: SamplingKernels, kind: str, size: int
) -> None:
    """The middle of a token's share of the CDF draws that token: a token more, less or in another
    place would shift the shares after it.
    """
    row = make_row(kind, size)
    for index, params in enumerate(FILTERS):
        shares = filtered(kind, size, index)
        middles = shares.cumsum(0) - shares / 2
        # float32 weights are exact to 1e-7, so the CDF may be off by a token of a smaller share.
        ids = (shares > 2e-6).nonzero().flatten()
        for token in ids[:: max(1, len(ids) // 20)].tolist():
            assert sample(kernels, row, params, float(middles[token])) == token
        for uniform in (0.0, math.nextafter(1.0, 0.0)):
            end = sample(kernels, row, params, uniform)
            assert end is not None
            assert shares[end] > 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ROWS)
def test_greedy_is_the_first_of_the_largest(kernels: SamplingKernels, kind: str, size: int) -> None:
    row = make_row(kind, size, seed=2)
    assert sample(kernels, row, SamplingParams(temperature=0), 0.0) == int(row.argmax())


@pytest.mark.parametrize("invalid", [math.nan, -math.nan, math.inf])
def test_an_invalid_logit_is_found_at_every_place(kernels: SamplingKernels, invalid: float) -> None:
    for size in (1, 17, 300):
        for place in {0, 7, 15, 16, size - 1} & set(range(size)):
            row = make_row("random", size)
            row[place] = invalid
            for params in (SamplingParams(temperature=0), *FILTERS):
                assert sample(kernels, row, params, 0.5) is None
            assert kernels.logprobs(row.data_ptr(), size, 0, 1) is None


@pytest.mark.parametrize("size", SIZES)
def test_a_fully_masked_row_is_invalid(kernels: SamplingKernels, size: int) -> None:
    row = torch.full((size,), -torch.inf)
    assert sample(kernels, row, SamplingParams(temperature=0), 0.0) is None


@pytest.mark.parametrize("size", SIZES)
def test_the_extremes_of_float32_are_valid(kernels: SamplingKernels, size: int) -> None:
    row = torch.full((size,), -torch.finfo(torch.float32).max)
    row[size // 2] = torch.finfo(torch.float32).max
    for params in FILTERS:
        assert sample(kernels, row, replace(params, temperature=1.0), 0.5) == size // 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ROWS)
def test_logprobs_equal_log_softmax(kernels: SamplingKernels, kind: str, size: int) -> None:
    row = make_row(kind, size, seed=3)
    expected = torch.log_softmax(row.double(), -1).clamp(min=-9999.0)
    order = row.sort(descending=True, stable=True).indices
    for count in (0, 1, 5, 20):
        found = logprobs(kernels, row, size // 2, count)
        assert found.chosen == pytest.approx(float(expected[size // 2]), abs=1e-6)
        assert [i for i, _ in found.top] == order[:count].tolist()
        values = [value for _, value in found.top]
        assert values == pytest.approx(expected[order[:count]].tolist(), abs=1e-6)


def test_a_library_that_is_not_built_is_none(tmp_path: Path) -> None:
    assert load_sampling(tmp_path / "absent.so") is None
