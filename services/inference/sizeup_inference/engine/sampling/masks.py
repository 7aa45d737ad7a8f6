"""Masks of constrained sequences: logits of the tokens that may not come next become -inf."""

from collections.abc import Sequence

import torch

from sizeup_inference.engine.kernels.sampling import SamplingKernels
from sizeup_inference.engine.protocol import ConstraintError
from sizeup_inference.engine.sampling.sampler import KERNELS, is_addressable
from sizeup_inference.engine.scheduling.sequence import SequenceState

_BITS = 32
"""Of a word of a mask."""


@torch.inference_mode()
def mask(
    logits: torch.Tensor,
    sequences: Sequence[SequenceState],
    kernels: SamplingKernels | None = KERNELS,
) -> dict[str, str]:
    """Mask rows of float32[sequences, vocab_size] in place; `kernels` as in `sample`.

    Returns the error messages of the requests whose constraints fail.
    """
    failures: dict[str, str] = {}
    rows: list[int] = []
    words = torch.empty(len(sequences), -(-logits.shape[-1] // _BITS), dtype=torch.int32)
    for row, sequence in enumerate(sequences):
        if sequence.constraint is None:
            continue
        target = words[len(rows)]
        try:
            sequence.constraint.write_mask(target.data_ptr(), target.nbytes)
        except ConstraintError as error:
            failures[sequence.request.id] = str(error)
        else:
            rows.append(row)
    _apply(logits, rows, words, kernels if is_addressable(logits) else None)
    return failures


def _apply(
    logits: torch.Tensor,
    rows: Sequence[int],
    words: torch.Tensor,
    kernels: SamplingKernels | None,
) -> None:
    if not rows:
        return
    if kernels is not None:
        for row, target in zip(rows, words, strict=False):
            kernels.mask(logits[row].data_ptr(), logits.shape[-1], target.data_ptr())
        return
    device = logits.device
    shifts = torch.arange(_BITS, dtype=torch.int32, device=device)
    bits = (words[: len(rows), :, None].to(device) >> shifts) & 1
    excluded = bits.flatten(1)[:, : logits.shape[-1]] == 0
    index = torch.tensor(rows, device=device)
    logits[index] = logits[index].masked_fill(excluded, -torch.inf)
