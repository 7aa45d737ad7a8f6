"""Masks of constrained sequences: the tokens that may come next."""

from array import array
from collections.abc import Iterable, Mapping, Sequence

import torch

from sizeup_inference.engine.kernels.sampling import SamplingKernels
from sizeup_inference.engine.protocol import ConstraintError
from sizeup_inference.engine.sampling.sampler import KERNELS, is_addressable
from sizeup_inference.engine.scheduling.sequence import SequenceState

_BITS = 32
"""Of a word of a mask."""


def masks_of(
    sequences: Iterable[SequenceState],
) -> tuple[dict[SequenceState, "array[int]"], dict[str, str]]:
    """Return the masks of those that are constrained, and by request the errors of constraints."""
    masks: dict[SequenceState, array[int]] = {}
    failures: dict[str, str] = {}
    for sequence in sequences:
        if sequence.constraint is None:
            continue
        try:
            masks[sequence] = sequence.constraint.mask()
        except ConstraintError as error:
            failures[sequence.request.id] = str(error)
    return masks, failures


@torch.inference_mode()
def mask(
    logits: torch.Tensor,
    sequences: Sequence[SequenceState],
    masks: Mapping[SequenceState, "array[int]"],
    kernels: SamplingKernels | None = KERNELS,
) -> None:
    """Set the logits of excluded tokens to -inf, in rows of float32[sequences, vocab_size].

    `kernels` as in `sample`.
    """
    if not masks:
        return
    kernels = kernels if is_addressable(logits) else None
    for row, sequence in zip(logits, sequences, strict=True):
        if sequence not in masks:
            continue
        if kernels is None:
            exclude(masks[sequence], row)
        else:
            kernels.mask(row.data_ptr(), len(row), masks[sequence])


def exclude(words: "array[int]", row: torch.Tensor) -> None:
    """Set the logits of a row whose bit in a mask is 0 to -inf, on the device of the row."""
    shifts = torch.arange(_BITS, dtype=torch.int32, device=row.device)
    bits = torch.frombuffer(words, dtype=torch.int32).to(row.device)[:, None] >> shifts & 1
    row.masked_fill_(bits.flatten()[: len(row)] == 0, -torch.inf)
