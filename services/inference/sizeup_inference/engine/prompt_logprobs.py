"""Log-probabilities of a prompt's own tokens, a slice of its rows at a time."""

from collections.abc import Iterator
from collections.abc import Sequence as Seq

import torch

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.engine.sampler import LEAST_LOGPROB

_SLICE_ROWS = 128
"""Logits of 128 rows over 151,936 tokens are 78 MB in float32, and their log-softmax as much again;
those of a chunk of 2,048 rows would be 1.2 GB."""


def prompt_logprobs(
    head: torch.nn.Module, hidden: torch.Tensor, targets: Seq[int], count: int
) -> tuple[Logprobs, ...] | None:
    """Return the log-probability of each row's target and of its `count` likeliest tokens.

    `hidden` is [targets, hidden_size]. None where a row's logits are not a distribution: they hold
    NaN or infinity.
    """
    told: list[Logprobs] = []
    for start in range(0, len(targets), _SLICE_ROWS):
        wanted = targets[start : start + _SLICE_ROWS]
        logprobs = head(hidden[start : start + len(wanted)]).float().log_softmax(-1)
        index = torch.tensor(wanted, device=logprobs.device)[:, None]
        chosen = logprobs.gather(-1, index)[:, 0].clamp(min=LEAST_LOGPROB)
        if chosen.isnan().any():  # one such logit makes the whole row so
            return None
        told += _rows(chosen, logprobs, count)
    return tuple(told)


def _rows(chosen: torch.Tensor, logprobs: torch.Tensor, count: int) -> Iterator[Logprobs]:
    values, ids = logprobs.topk(min(count, logprobs.shape[-1]))
    tops = zip(ids.tolist(), values.clamp(min=LEAST_LOGPROB).tolist(), strict=True)
    for value, (tokens, likely) in zip(chosen.tolist(), tops, strict=True):
        yield Logprobs(value, tuple(zip(tokens, likely, strict=True)))
