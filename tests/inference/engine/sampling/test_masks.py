"""Masks of constrained sequences, by the C kernels and by torch."""

import random

import pytest
import torch

from inference.engine.constraints import Only
from inference.engine.engines import request
from sizeup_inference.engine.protocol import Constraint
from sizeup_inference.engine.sampling.masks import mask, masks_of
from sizeup_inference.engine.sampling.sampler import KERNELS
from sizeup_inference.engine.scheduling.sequence import SequenceState


def sequence(constraint: Constraint | None) -> SequenceState:
    return SequenceState(request("r", [1], 8, constraint=constraint), 0)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 97, 1000, 151_936])
def test_only_allowed_logits_stay(size: int, compiled: bool) -> None:
    logits = torch.randn(4, size, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    some = {i for i in range(size) if random.Random(i).random() < 0.3} | {size - 1}
    first, second = sequence(Only(some, size)), sequence(Only({0}, size))
    sequences = [first, sequence(None), second, sequence(None)]
    masks, failures = masks_of(sequences)
    assert failures == {}
    assert masks.keys() == {first, second}
    mask(logits, sequences, masks, KERNELS if compiled else None)
    for row in (1, 3):
        assert logits[row].equal(before[row])
    for row, kept in ((0, some), (2, {0})):
        assert {i for i in range(size) if logits[row, i] > -torch.inf} == kept
        index = torch.tensor(sorted(kept))
        assert logits[row, index].equal(before[row, index])


@pytest.mark.parametrize("instructions", range(KERNELS.instructions + 1 if KERNELS else 0))
def test_every_instruction_set_masks_alike(instructions: int) -> None:
    assert KERNELS is not None
    kernels = type(KERNELS)(KERNELS.library, instructions)
    logits = torch.randn(1, 1003)
    constrained = sequence(Only(range(0, 1003, 7), 1003))
    mask(logits, [constrained], masks_of([constrained])[0], kernels)
    assert logits.isfinite().nonzero()[:, 1].tolist() == list(range(0, 1003, 7))


def test_a_constraint_that_fails_names_its_request() -> None:
    assert masks_of([sequence(Only({1}, 40, limit=0))]) == ({}, {"r": "too complex"})


@pytest.mark.parametrize("compiled", [True, False])
def test_a_mask_that_is_too_short_is_an_error(compiled: bool) -> None:
    constrained = sequence(Only({1}, 32))
    masks, _ = masks_of([constrained])
    with pytest.raises((ValueError, RuntimeError)):
        mask(torch.zeros(1, 97), [constrained], masks, KERNELS if compiled else None)
