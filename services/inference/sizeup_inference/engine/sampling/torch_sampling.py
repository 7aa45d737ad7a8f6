"""Sampling from one row of logits with torch: on a GPU, and where the C kernels are not built."""

import torch

from sizeup_inference.engine.protocol import MIN_LOGPROB, Logprobs, SamplingParams

_CANDIDATES = 1024
"""Top tokens tried before the whole vocabulary is sorted for top_p: a nucleus is rarely larger, and
sorting 151,936 logits takes about 10 ms on a CPU against 0.5 ms for these."""


def draw(row: torch.Tensor, params: SamplingParams, uniform: float) -> int:
    """Return the token id at `uniform`, in [0, 1), of a row's CDF; temperature is 1e-30 or more."""
    if not params.top_k and params.top_p >= 1 and not params.min_p:
        return _pick(_probabilities(row, row.max(), params.temperature), uniform)
    weights, ids = _candidates(row, params)
    keep = torch.ones_like(weights, dtype=torch.bool)
    if params.top_p < 1:
        keep &= weights.cumsum(-1) - weights < params.top_p
    if params.min_p:
        keep &= weights >= params.min_p * weights[0]
    # In token id order: the rounding of a batch may swap the ranks of two near-equal tokens.
    kept, order = ids[keep].sort()
    return int(kept[_pick(weights[keep][order], uniform)])


def _candidates(row: torch.Tensor, params: SamplingParams) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities and ids of a superset of what the filters keep, most likely first."""
    size = row.shape[-1]
    if 0 < params.top_k < size:
        logits, ids = row.topk(params.top_k)
        return _probabilities(logits, logits[0], params.temperature), ids
    logits, ids = row.topk(min(_CANDIDATES, size))
    # Relative to the largest: at a low temperature float32 would lose every fractional digit.
    total = ((row - logits[0]) / params.temperature).logsumexp(-1).double()
    weights = ((logits - logits[0]).double() / params.temperature - total).exp()
    if weights.sum() >= params.top_p or weights[-1] < params.min_p * weights[0]:
        return weights, ids
    logits, ids = row.sort(descending=True)
    return _probabilities(logits, logits[0], params.temperature), ids


def _probabilities(logits: torch.Tensor, largest: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the softmax in float64; differences first, which any temperature leaves finite."""
    return torch.softmax((logits.double() - largest) / temperature, dim=-1)


def _pick(weights: torch.Tensor, uniform: float) -> int:
    """Invert the CDF of unnormalized weights."""
    cumulative = weights.cumsum(-1)
    index = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)
    # Rounding may put the target past the end: then the last token with a weight is meant.
    return min(int(index), int(weights.nonzero()[-1]))


def logprobs(row: torch.Tensor, token_id: int, count: int) -> Logprobs:
    """Return the log-probability of a token, and of the `count` most likely ones."""
    values = row.log_softmax(-1).clamp(min=MIN_LOGPROB)
    top, ids = values.topk(min(count, len(row)))
    return Logprobs(float(values[token_id]), tuple(zip(ids.tolist(), top.tolist(), strict=True)))
