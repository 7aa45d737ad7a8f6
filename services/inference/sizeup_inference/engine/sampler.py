"""Sampling: logits to tokens, by the parameters of each sequence.

The order is: bias, penalties, stop tokens masked below min_tokens; greedy takes the argmax there;
otherwise temperature, top_k, top_p, min_p (as in transformers), then one draw by inverse CDF in
float64, so that a seeded request draws the same token whatever the rounding of its batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from sizeup_inference.engine.protocol import Logprobs, SamplingParams
from sizeup_inference.engine.sequence import SequenceState

_CANDIDATES = 1024
"""Top tokens tried before the whole vocabulary is sorted for top_p: a nucleus is rarely larger, and
sorting 151,936 logits takes about 10 ms on a CPU against 0.5 ms for these."""

_MIN_TEMPERATURE = 1e-30
"""Lower temperatures draw the same token. A GPU multiplies by the reciprocal, which is finite in
float32 for this one."""

MIN_LOGPROB = -9999.0
"""In place of minus infinity, which JSON cannot represent; as in vLLM and OpenAI."""


class Sampled(NamedTuple):
    """The next token of one sequence."""

    token_id: int
    logprobs: Logprobs | None


def is_argmax(sequence: SequenceState) -> bool:
    """Whether the next token is the argmax of the logits as they are."""
    request, params = sequence.request, sequence.request.sampling
    return (
        params.temperature == 0
        and params.logprobs is None
        and not params.logit_bias
        and (params.repetition_penalty == 1.0 or params.repeat_last_n == 0)
        and not (params.presence_penalty or params.frequency_penalty)
        and sequence.num_output_tokens >= request.min_tokens
    )


@torch.inference_mode()
def sample(logits: torch.Tensor, sequences: Sequence[SequenceState]) -> list[Sampled | None]:
    """Sample a token for each row of float32[sequences, vocab_size]; modifies the rows.

    None for a row that cannot be sampled: it holds NaN or Inf, or every token is masked.
    """
    if not sequences:
        return []
    for row, sequence in zip(logits, sequences, strict=True):
        adjust(row, sequence)
    largest, greedy = logits.max(dim=-1)  # NaN where the row has one
    rows = zip(logits, sequences, greedy.tolist(), largest.isfinite().tolist(), strict=True)
    return [
        _sample_row(row, sequence, best) if finite else None for row, sequence, best, finite in rows
    ]


def _sample_row(row: torch.Tensor, sequence: SequenceState, best: int) -> Sampled:
    params = sequence.request.sampling
    token_id = best
    if params.temperature > 0:
        token_id = draw(row, params, sequence.generator.random())
    return Sampled(token_id, _logprobs(row, token_id, params.logprobs))


def adjust(row: torch.Tensor, sequence: SequenceState) -> None:
    """Apply bias, penalties and min_tokens to one row of logits, in place."""
    request = sequence.request
    params = request.sampling
    if biased := _in_vocabulary(params.logit_bias, row):
        biases = [params.logit_bias[i] for i in biased]
        row[_index(biased, row)] += torch.tensor(biases, dtype=row.dtype, device=row.device)
    if params.repetition_penalty != 1.0 and params.repeat_last_n != 0:
        _penalise_repetition(row, sequence)
    if (params.presence_penalty or params.frequency_penalty) and sequence.output_counts:
        ids = _index(list(sequence.output_counts), row)
        counts = torch.tensor(list(sequence.output_counts.values()), device=row.device)
        row[ids] -= params.presence_penalty + params.frequency_penalty * counts
    if sequence.num_output_tokens < request.min_tokens:
        row[_index(_in_vocabulary(request.stop_token_ids, row), row)] = -torch.inf


def _penalise_repetition(row: torch.Tensor, sequence: SequenceState) -> None:
    """Divide positive and multiply negative logits of tokens in the window (CTRL, transformers)."""
    params = sequence.request.sampling
    window = params.repeat_last_n
    recent = sequence.token_ids if window < 0 else sequence.token_ids[-window:]
    ids = _index(list(set(recent)), row)
    picked = row[ids]
    penalty = params.repetition_penalty
    row[ids] = torch.where(picked < 0, picked * penalty, picked / penalty)


def draw(row: torch.Tensor, params: SamplingParams, uniform: float) -> int:
    """Return the token id at `uniform`, in [0, 1), of a row's CDF; temperature must be positive."""
    if params.temperature < _MIN_TEMPERATURE:
        params = replace(params, temperature=_MIN_TEMPERATURE)
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


def _logprobs(row: torch.Tensor, token_id: int, count: int | None) -> Logprobs | None:
    if count is None:
        return None
    logprobs = row.log_softmax(-1).clamp(min=MIN_LOGPROB)
    values, ids = logprobs.topk(min(count, row.shape[-1]))
    top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return Logprobs(float(logprobs[token_id]), top)


def _in_vocabulary(ids: Iterable[int], row: torch.Tensor) -> list[int]:
    """Drop ids outside the vocabulary: an index error would fail every request in the step."""
    return [i for i in ids if 0 <= i < row.shape[-1]]


def _index(ids: list[int], row: torch.Tensor) -> torch.Tensor:
    return torch.tensor(ids, dtype=torch.long, device=row.device)
