"""Sampling: logits to tokens, by the parameters of each sequence.

The order is: constraints (in masks.py), bias, penalties, stop tokens masked below min_tokens;
greedy takes the argmax there; otherwise temperature, top_k, top_p, min_p (as in transformers), then
one draw by inverse CDF in the order of token ids, accumulated in float64, so that a seeded request
draws the same token whatever the rounding of its batch. Of equal logits the lowest ids come first.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from sizeup_inference.engine.forward import Draw
from sizeup_inference.engine.kernels.sampling import SamplingKernels, load_sampling
from sizeup_inference.engine.protocol import Logprobs, SamplingParams
from sizeup_inference.engine.sampling import torch_sampling
from sizeup_inference.engine.scheduling.sequence import SequenceState

KERNELS = load_sampling()

_MIN_TEMPERATURE = 1e-30
"""Lower temperatures draw the same token. The C kernels and a GPU multiply by the reciprocal, which
is finite in float32 for this one."""
_MIN_REPETITION_PENALTY = 1e-30
"""Quotients of logits, below 1e6, by this one are finite in float32."""


class Sampled(NamedTuple):
    """The next token of one sequence."""

    token_id: int
    logprobs: Logprobs | None


def is_argmax(sequence: SequenceState) -> bool:
    """Whether the next token is the argmax of the logits as they are, or of those not masked."""
    return sequence.request.sampling.temperature == 0 and _needs_logits_only(sequence)


def is_draw(sequence: SequenceState) -> bool:
    """Whether the next token is drawn from the logits as they are."""
    drawn = sequence.request.sampling.temperature > 0 and sequence.constraint is None
    return drawn and _needs_logits_only(sequence)


def next_draw(sequence: SequenceState) -> Draw:
    """Return the parameters of a sequence's next draw, which advances its generator."""
    params, uniform = _draw_parameters(sequence)
    return Draw(params.temperature, params.top_k, params.top_p, params.min_p, uniform)


def _needs_logits_only(sequence: SequenceState) -> bool:
    request, params = sequence.request, sequence.request.sampling
    return (
        params.logprobs is None
        and not params.logit_bias
        and (params.repetition_penalty == 1.0 or params.repeat_last_n == 0)
        and not (params.presence_penalty or params.frequency_penalty)
        and sequence.num_output_tokens >= request.min_tokens
    )


@torch.inference_mode()
def sample(
    logits: torch.Tensor,
    sequences: Sequence[SequenceState],
    kernels: SamplingKernels | None = KERNELS,
    *,
    ahead: int | None = None,
) -> list[Sampled | None]:
    """Sample a token for each row of float32[sequences, vocab_size]; modifies the rows.

    None for a row that cannot be sampled: it holds NaN or Inf, or every token is masked. `kernels`
    compute the rows that C code can read, torch all others. With `ahead`, the random number of the
    token after so many others is used and left to that token.
    """
    if not sequences:
        return []
    if not is_addressable(logits):
        kernels = None
    for row, sequence in zip(logits, sequences, strict=True):
        adjust(row, sequence, kernels)
    if kernels is None:
        return _sample_with_torch(logits, sequences, ahead)
    rows = zip(logits, sequences, strict=True)
    return [_sample_with_kernels(kernels, row, sequence, ahead) for row, sequence in rows]


def is_addressable(logits: torch.Tensor) -> bool:
    """Whether the C kernels can read the rows."""
    on_cpu = logits.device.type == "cpu"
    return on_cpu and logits.dtype == torch.float32 and logits.stride(-1) == 1


def _sample_with_kernels(
    kernels: SamplingKernels, row: torch.Tensor, sequence: SequenceState, ahead: int | None
) -> Sampled | None:
    address, size = row.data_ptr(), len(row)
    params, uniform = _draw_parameters(sequence, ahead)
    token_id = kernels.sample(address, size, params, uniform)
    if token_id is None or params.logprobs is None:
        return None if token_id is None else Sampled(token_id, None)
    return Sampled(token_id, kernels.logprobs(address, size, token_id, params.logprobs))


def _sample_with_torch(
    logits: torch.Tensor, sequences: Sequence[SequenceState], ahead: int | None
) -> list[Sampled | None]:
    best = torch_sampling.argmax_rows(logits).tolist()
    return [
        None if greedy < 0 else _sample_row_with_torch(row, sequence, greedy, ahead)
        for row, sequence, greedy in zip(logits, sequences, best, strict=True)
    ]


def _sample_row_with_torch(
    row: torch.Tensor, sequence: SequenceState, greedy: int, ahead: int | None
) -> Sampled:
    params, uniform = _draw_parameters(sequence, ahead)
    token_id = greedy
    if params.temperature > 0:
        token_id = torch_sampling.draw(row, params, uniform)
    if params.logprobs is None:
        return Sampled(token_id, None)
    found = torch_sampling.logprobs(row[None], [token_id], params.logprobs)
    return Sampled(token_id, next(found))


def _draw_parameters(
    sequence: SequenceState, ahead: int | None = None
) -> tuple[SamplingParams, float]:
    """Return the parameters, with a temperature that has a reciprocal, and the point of the CDF."""
    params = sequence.request.sampling
    if params.temperature == 0:
        return params, 0.0
    if params.temperature < _MIN_TEMPERATURE:
        params = replace(params, temperature=_MIN_TEMPERATURE)
    if ahead is not None:
        return params, sequence.generator.peek(ahead)
    return params, sequence.generator.random()


def adjust(
    row: torch.Tensor, sequence: SequenceState, kernels: SamplingKernels | None = None
) -> None:
    """Apply bias, penalties and min_tokens to one row of logits, in place."""
    request = sequence.request
    params = request.sampling
    if biased := _in_vocabulary(params.logit_bias, row):
        biases = [params.logit_bias[i] for i in biased]
        row[_index(biased, row)] += torch.tensor(biases, dtype=row.dtype, device=row.device)
    if params.repetition_penalty != 1.0 and params.repeat_last_n != 0:
        _penalise_repetition(row, sequence, kernels)
    if (params.presence_penalty or params.frequency_penalty) and sequence.output_counts:
        ids = _index(list(sequence.output_counts), row)
        counts = torch.tensor(list(sequence.output_counts.values()), device=row.device)
        row[ids] -= params.presence_penalty + params.frequency_penalty * counts
    if sequence.num_output_tokens < request.min_tokens:
        row[_index(_in_vocabulary(request.stop_token_ids, row), row)] = -torch.inf


def _penalise_repetition(
    row: torch.Tensor, sequence: SequenceState, kernels: SamplingKernels | None
) -> None:
    """Divide positive and multiply negative logits of tokens in the window (CTRL, transformers)."""
    window = _penalty_window(sequence)
    penalty = max(sequence.request.sampling.repetition_penalty, _MIN_REPETITION_PENALTY)
    if kernels is not None:
        kernels.penalize_repetition(row.data_ptr(), len(row), window, penalty)
        return
    ids = _index(window.tolist(), row)
    picked = row[ids]
    row[ids] = torch.where(picked < 0, picked * penalty, picked / penalty)


def _penalty_window(sequence: SequenceState) -> "array[int]":
    """Return the distinct tokens of the last repeat_last_n."""
    window = sequence.request.sampling.repeat_last_n
    if 0 <= window < sequence.num_tokens:
        return array("i", set(sequence.token_ids[-window:]))
    return sequence.distinct_ids()


def _in_vocabulary(ids: Iterable[int], row: torch.Tensor) -> list[int]:
    """Drop ids outside the vocabulary: an index error would fail every request in the step."""
    return [i for i in ids if 0 <= i < row.shape[-1]]


def _index(ids: list[int], row: torch.Tensor) -> torch.Tensor:
    return torch.tensor(ids, dtype=torch.long, device=row.device)
