"""The interface between a step and what computes it: transformers' modules or compiled kernels."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from sizeup_inference.engine.kv_pool import KVPool, Span


@dataclass(frozen=True, slots=True)
class Batch:
    """A flat batch of tokens from many sequences."""

    ids: Sequence[int]
    spans: tuple[Span, ...]
    """In the order of the rows, without gaps."""
    samples: Sequence[int]
    """Rows whose logits are of interest."""
    wants_logits: Sequence[bool]
    """By sample, whether its logits are returned; its best token always is."""
    wants_hidden: bool
    masks: Mapping[int, "array[int]"] = field(default_factory=dict)
    """By sample, the tokens of which its best one is chosen, as in ConstraintState.mask."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The result of a batch."""

    best: Sequence[int]
    """By sample, the first token of the largest logit; -1 where a logit is NaN or Inf, or every
    token is masked."""
    logits: torch.Tensor
    """float32[samples that want them, vocab_size], without masks; valid until the next batch."""
    hidden: torch.Tensor | None
    """The last hidden states of every row, [rows, hidden_size], where the batch wants them."""


class ForwardPass(Protocol):
    """Computes batches over the KV pool that it was made with."""

    pool: KVPool

    def run(self, batch: Batch) -> Forwarded:
        """Compute a batch, storing its keys and values in the pool."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32[rows, vocab_size] of last hidden states [rows, hidden_size]."""
