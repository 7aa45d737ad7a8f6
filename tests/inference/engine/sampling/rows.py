"""Rows of logits, and sequences that sample from them."""

from collections.abc import Sequence

import torch

from inference.engine.engines import request
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.engine.scheduling.sequence import SequenceState

VOCABULARY = 60


def logits_row(size: int = VOCABULARY, seed: int = 0, spread: float = 2.0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * spread


def sequence_of(
    sampling: SamplingParams,
    prompt: Sequence[int] = (1, 2),
    answer: Sequence[int] = (),
    *,
    min_tokens: int = 0,
    stop: Sequence[int] = (),
) -> SequenceState:
    made = SequenceState(request("a", prompt, 99, sampling, min_tokens=min_tokens, stop=stop), 0)
    for token_id in answer:
        made.append(token_id)
    return made
