"""Masks of constrained sequences, by the C kernels and by torch."""

import random

import pytest
import torch

from inference.engine.constraints import Only
from inference.engine.engines import request
from sizeup_inference.engine.protocol import Constraint
from sizeup_inference.engine.sampling.masks import mask
from sizeup_inference.engine.sampling.sampler import KERNELS, is_argmax
from sizeup_inference.engine.scheduling.sequence import SequenceState


def sequence(constraint: Constraint | None) -> SequenceState:
    return SequenceState(request("r", [1], 8, constraint=constraint), 0)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 97, 1000, 151_936])
def test_only_allowed_logits_stay(size: int, compiled: bool) -> None:
    logits = torch.randn(4, size, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    allowed = {i for i in range(size) if random.Random(i).random() < 0.3} | {size - 1}
    sequences = [sequence(Only(allowed)), sequence(None), sequence(Only({0})), sequence(None)]
    assert mask(logits, sequences, KERNELS if compiled else None) == {}
    for row in (1, 3):
        assert logits[row].equal(before[row])
    for row, kept in ((0, allowed), (2, {0})):
        assert {i for i in range(size) if logits[row, i] > -torch.inf} == kept
        index = torch.tensor(sorted(kept))
        assert logits[row, index].equal(before[row, index])


@pytest.mark.parametrize("instructions", range(KERNELS.instruction_sets if KERNELS else 0))
def test_every_instruction_set_masks_alike(instructions: int) -> None:
    assert KERNELS is not None
    kernels = type(KERNELS)(KERNELS.library, instructions)
    logits = torch.randn(1, 1003)
    mask(logits, [sequence(Only(range(0, 1003, 7)))], kernels)
    assert logits.isfinite().nonzero()[:, 1].tolist() == list(range(0, 1003, 7))


def test_a_constraint_that_fails_names_its_request() -> None:
    logits = torch.zeros(2, 40)
    failures = mask(logits, [sequence(Only({1}, limit=0)), sequence(Only({1}))])
    assert failures == {"r": "too complex"}
    assert logits[1].isfinite().sum() == 1


def test_a_constrained_sequence_needs_its_logits() -> None:
    assert not is_argmax(sequence(Only({1})))
