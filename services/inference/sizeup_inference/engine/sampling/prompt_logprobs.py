"""Log-probabilities of prompt tokens, computed in slices of rows."""

from collections.abc import Callable, Iterator, Sequence

import torch

from sizeup_inference.engine.protocol import MIN_LOGPROB, Logprobs

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
        logprobs = head(hidden[start : start + len(ids)]).log_softmax(-1)
        index = torch.tensor(ids, device=logprobs.device)[:, None]
        chosen = logprobs.gather(-1, index)[:, 0].clamp(min=MIN_LOGPROB)
        if chosen.isnan().any():  # one NaN or Inf logit makes the whole row NaN
            return None
        result += _rows(chosen, logprobs, count)
    return tuple(result)


def _rows(chosen: torch.Tensor, logprobs: torch.Tensor, count: int) -> Iterator[Logprobs]:
    values, ids = logprobs.topk(min(count, logprobs.shape[-1]))
    tops = zip(ids.tolist(), values.clamp(min=MIN_LOGPROB).tolist(), strict=True)
    for value, (tokens, likely) in zip(chosen.tolist(), tops, strict=True):
        yield Logprobs(value, tuple(zip(tokens, likely, strict=True)))
