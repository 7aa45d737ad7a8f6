"""Sampling with torch: on a GPU, and where the C kernels are not built."""

from collections.abc import Iterator, Sequence

import torch

from sizeup_inference.engine.protocol import MIN_LOGPROB, Logprobs, SamplingParams

_CANDIDATES = 1024
"""Top tokens tried before the whole vocabulary is sorted for top_p: a nucleus is rarely larger, and
sorting 151,936 logits takes about 10 ms on a CPU against 0.5 ms for these."""


_ROWS = 32
"""Drawn from together: of 151,936 logits they take 39 MB in float64, several times."""


def argmax_rows(logits: torch.Tensor) -> torch.Tensor:
    """Return the first token of each row's largest logit; -1 for a row that holds NaN or Inf.

    Shapes: [rows, vocab_size] to int64[rows]. A row whose tokens are all masked has -1, too.
    """
    largest, tokens = logits.max(dim=-1)  # NaN where the row has one
    return torch.where(largest.isfinite(), tokens, -1)


def draw_rows(logits: torch.Tensor, table: torch.Tensor, *, filters: bool) -> torch.Tensor:
    """Draw a token for each row without waiting for the device, as `draw` does for one row.

    Shapes: [rows, vocab_size] and the numbers of a Draw by row, float64[rows, 5], to int64[rows].
    `filters`: whether any row has top_k, top_p or min_p.
    """
    slices = [slice(i, i + _ROWS) for i in range(0, len(logits), _ROWS)]
    return torch.cat([_draw_slice(logits[s], table[s], filters=filters) for s in slices])


def _draw_slice(logits: torch.Tensor, table: torch.Tensor, *, filters: bool) -> torch.Tensor:
    temperature, top_k, top_p, min_p, uniform = table.T[:, :, None]
    scaled = (logits.double() - logits.amax(-1, keepdim=True).double()) / temperature
    if filters:
        ids = logits.sort(descending=True, stable=True).indices
        scaled = scaled.masked_fill(~_kept(scaled, ids, top_k, top_p, min_p), -torch.inf)
    return _pick(scaled.softmax(-1), uniform)


def _kept(
    scaled: torch.Tensor,
    ids: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    min_p: torch.Tensor,
) -> torch.Tensor:
    """Return the tokens that the filters keep; `ids` has the most likely ones first.

    Both are [rows, vocab_size].
    """
    ranks = torch.arange(scaled.shape[-1], device=scaled.device)
    keep = (top_k == 0) | (ranks < top_k)
    weights = scaled.gather(-1, ids).masked_fill(~keep, -torch.inf).softmax(-1)
    keep &= _probable(weights, top_p, min_p)
    return torch.zeros_like(keep).scatter(-1, ids, keep)


def _probable(
    weights: torch.Tensor, top_p: torch.Tensor | float, min_p: torch.Tensor | float
) -> torch.Tensor:
    """Return which of these probabilities, the largest first, top_p and min_p keep."""
    in_nucleus = (weights.cumsum(-1) - weights < top_p) | (top_p >= 1)
    return in_nucleus & (weights >= min_p * weights[..., :1])


def draw(row: torch.Tensor, params: SamplingParams, uniform: float) -> int:
    """Return the token id at `uniform`, in [0, 1), of a row's CDF; temperature is 1e-30 or more."""
    if not params.top_k and params.top_p >= 1 and not params.min_p:
        return int(_pick(_probabilities(row, row.max(), params.temperature)[None], uniform))
    weights, ids = _candidates(row, params)
    keep = _probable(weights, params.top_p, params.min_p)
    # In token id order: the rounding of a batch may swap the ranks of two near-equal tokens.
    kept, order = ids[keep].sort()
    return int(kept[_pick(weights[keep][order][None], uniform)])


def _candidates(row: torch.Tensor, params: SamplingParams) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities and ids of a superset of what the filters keep, most likely first."""
    size = row.shape[-1]
    if 0 < params.top_k < size:
        logits, ids = _largest(row, params.top_k)
        return _probabilities(logits, logits[0], params.temperature), ids
    logits, ids = _largest(row, min(_CANDIDATES, size))
    # Relative to the largest: at a low temperature float32 would lose every fractional digit.
    total = ((row - logits[0]) / params.temperature).logsumexp(-1).double()
    weights = ((logits - logits[0]).double() / params.temperature - total).exp()
    if weights.sum() >= params.top_p or weights[-1] < params.min_p * weights[0]:
        return weights, ids
    logits, ids = row.sort(descending=True, stable=True)
    return _probabilities(logits, logits[0], params.temperature), ids


def _largest(row: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest logits and their ids; topk takes any of equal ones, this the first."""
    least = row.topk(count).values[-1]
    ids = (row >= least).nonzero()[:, 0]
    logits, order = row[ids].sort(descending=True, stable=True)
    return logits[:count], ids[order[:count]]


def _probabilities(logits: torch.Tensor, largest: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the softmax in float64; differences first, which any temperature leaves finite."""
    return torch.softmax((logits.double() - largest) / temperature, dim=-1)


def _pick(weights: torch.Tensor, uniform: torch.Tensor | float) -> torch.Tensor:
    """Invert the CDF of each row of unnormalized weights: [rows, tokens] to int64[rows]."""
    cumulative = weights.cumsum(-1)
    total = cumulative[:, -1:].contiguous()
    index = torch.searchsorted(cumulative, uniform * total, right=True)
    # Rounding may put the target past the end: then the last token with a weight is meant.
    last = torch.searchsorted(cumulative, total)
    return torch.minimum(index, last)[:, 0]


def logprobs(rows: torch.Tensor, tokens: Sequence[int], count: int) -> Iterator[Logprobs]:
    """Yield the log-probability of each row's token, and of its `count` most likely tokens.

    The token's is NaN where a logit of the row is NaN or Inf.
    """
    values = rows.log_softmax(-1)
    index = torch.tensor(tokens, device=rows.device)[:, None]
    chosen = values.gather(-1, index)[:, 0].clamp(min=MIN_LOGPROB).tolist()
    top, ids = values.topk(min(count, rows.shape[-1]))
    likely = zip(ids.tolist(), top.clamp(min=MIN_LOGPROB).tolist(), strict=True)
    for value, (top_ids, top_values) in zip(chosen, likely, strict=True):
        yield Logprobs(value, tuple(zip(top_ids, top_values, strict=True)))
