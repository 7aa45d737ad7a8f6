"""Draws from many rows at once are those from each row; argmaxes of rows."""

import random

import pytest
import torch

from inference.engine.sampling.rows import logits_row
from sizeup_inference.engine.forward import Draw
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.engine.sampling.torch_sampling import (
    argmax_rows,
    draw,
    draw_rows,
)

torch.set_num_threads(1)


def random_draws(count: int, seed: int) -> list[Draw]:
    rng = random.Random(seed)
    return [
        Draw(
            temperature=rng.choice((1e-30, 0.01, 0.7, 1.0, 5.0)),
            top_k=rng.choice((0, 1, 2, 40, 5000)),
            top_p=rng.choice((1.0, 1e-9, 0.3, 0.95)),
            min_p=rng.choice((0.0, 0.05, 1.0)),
            uniform=rng.choice((0.0, rng.random(), 1 - 2**-53)),
        )
        for _ in range(count)
    ]


def drawn(rows: torch.Tensor, draws: list[Draw], *, filters: bool = True) -> list[int]:
    table = torch.tensor([list(one) for one in draws], dtype=torch.float64)
    tokens: list[int] = draw_rows(rows, table, filters=filters).tolist()
    return tokens


def by_row(rows: torch.Tensor, draws: list[Draw]) -> list[int]:
    return [
        draw(row, SamplingParams(d.temperature, d.top_k, d.top_p, d.min_p), d.uniform)
        for row, d in zip(rows, draws, strict=True)
    ]


@pytest.mark.parametrize("vocabulary", [60, 3000])
def test_draws_of_rows_are_those_of_single_rows(vocabulary: int) -> None:
    draws = random_draws(100, seed=vocabulary)  # more than are computed together
    rows = torch.stack([logits_row(vocabulary, seed) for seed in range(len(draws))])
    assert drawn(rows, draws) == by_row(rows, draws)


@pytest.mark.parametrize("vocabulary", [60, 3000])
def test_equal_logits_are_drawn_alike_too(vocabulary: int) -> None:
    """bfloat16 has few values: the last token of top_k has many equals."""
    draws = random_draws(100, seed=vocabulary)
    rows = torch.stack([logits_row(vocabulary, seed) for seed in range(len(draws))]).bfloat16()
    assert drawn(rows, draws) == by_row(rows.float(), draws)


def test_without_filters_every_token_may_be_drawn() -> None:
    draws = [Draw(1.0, 0, 1.0, 0.0, (i + 0.5) / 50) for i in range(50)]
    rows = logits_row().repeat(50, 1)
    assert drawn(rows, draws, filters=False) == drawn(rows, draws) == by_row(rows, draws)


def test_of_equal_logits_the_first_tokens_are_kept() -> None:
    rows = torch.zeros(2, 9)
    assert drawn(rows, [Draw(1.0, 2, 1.0, 0.0, u) for u in (0.4, 0.9)]) == [0, 1]


def test_masked_tokens_are_not_drawn() -> None:
    row = torch.full((9,), -torch.inf)
    row[[2, 7]] = 1.0
    tokens = drawn(row.repeat(2, 1), [Draw(1.0, 0, 1.0, 0.0, u) for u in (0.0, 1 - 2**-53)])
    assert tokens == [2, 7]


def test_the_argmax_is_the_first_of_equal_logits_and_minus_one_without_any() -> None:
    rows = torch.zeros(5, 4)
    rows[0, 2] = rows[0, 3] = 5.0
    rows[1, 1] = torch.nan
    rows[2, 1] = torch.inf
    rows[3] = -torch.inf
    rows[4, 0] = -torch.inf
    assert argmax_rows(rows).tolist() == [2, -1, -1, -1, 1]
