"""The interface between a step and what computes it: transformers' modules or compiled kernels."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch

from sizeup_inference.engine.kv_pool import KVPool, Span


class Draw(NamedTuple):
    """How to draw a token: SamplingParams that need the logits only, and the point of the CDF."""

    temperature: float
    """At least 1e-30."""
    top_k: int
    top_p: float
    min_p: float
    uniform: float
    """In [0, 1)."""


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
    draws: Mapping[int, Draw] = field(default_factory=dict)
    """By sample, how its token is drawn in place of the best one; only where the pass draws."""
    ids_from: Sequence[int] = ()
    """By row, which sample of the batch before, still running, is the token in place of `ids`."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The result of a batch."""

    best: Sequence[int]
    """By sample, the first token of the largest logit or the drawn one; -1 where a logit is NaN or
    Inf, or every token is masked."""
    logits: torch.Tensor
    """float32[samples that want them, vocab_size], without masks; valid until the next batch."""
    hidden: torch.Tensor | None
    """The last hidden states of every row, [rows, hidden_size], where the batch wants them."""

    def result(self) -> "Forwarded":
        """Return this: a batch that was computed at once is Launched as well."""
        return self


class Launched(Protocol):
    """A batch that is being computed."""

    def result(self) -> Forwarded:
        """Wait for the batch. Raises what the computation raises."""


class ForwardPass(ABC):
    """Computes batches over the KV pool that it was made with."""

    pool: KVPool
    draws = False
    """Whether batches may have draws."""
    is_asynchronous = False
    """Whether the device computes while the host goes on, so that batches may have `ids_from`."""

    @abstractmethod
    def run(self, batch: Batch) -> Forwarded:
        """Compute a batch, storing its keys and values in the pool."""

    def launch(self, batch: Batch, after: Any = None) -> Launched:
        """Start a batch. `after` is the launched batch that `batch.ids_from` refers to."""
        return self.run(batch)

    @abstractmethod
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32[rows, vocab_size] of last hidden states [rows, hidden_size]."""
