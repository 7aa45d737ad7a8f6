"""Log-probabilities of prompt tokens, computed in slices of rows."""

import math
from collections.abc import Callable, Sequence

import torch

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.engine.sampling.torch_sampling import logprobs

_SLICE_ROWS = 128
"""Logits of 128 rows over 151,936 tokens take 78 MB in float32, their log-softmax as much again; a
chunk of 2,048 rows would take 1.2 GB."""


def prompt_logprobs(
    head: Callable[[torch.Tensor], torch.Tensor],
    hidden: torch.Tensor,
    targets: Sequence[int],
    count: int,
) -> tuple[Logprobs, ...] | None:
    """Return the log-probability of each row's target and of its top `count` tokens.

    `head` returns the float32 logits of last hidden states; `hidden` is
    [targets, hidden_size]. None where a row's logits hold NaN or Inf.
    """
    result: list[Logprobs] = []
    for start in range(0, len(targets), _SLICE_ROWS):
        ids = targets[start : start + _SLICE_ROWS]
        found = list(logprobs(head(hidden[start : start + len(ids)]), ids, count))
        if any(math.isnan(one.chosen) for one in found):
            return None
        result += found
    return tuple(result)
