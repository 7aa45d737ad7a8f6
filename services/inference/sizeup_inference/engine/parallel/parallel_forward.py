"""The forward pass of rank 0, which every other rank computes along with it."""

from dataclasses import dataclass

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import (
    AsynchronousForwardPass,
    Batch,
    Forwarded,
    ForwardPass,
    Launched,
)
from sizeup_inference.engine.parallel.messages import Logits, Run
from sizeup_inference.engine.parallel.ranks import Ranks
from sizeup_inference.engine.parallel.steps import Steps


class ParallelForward:
    """A ForwardPass whose heads, weights and KV heads are divided among ranks.

    An error on any rank ends all of them, since the others wait for it in a collective.
    """

    def __init__(self, local: ForwardPass, ranks: Ranks) -> None:
        """`local` computes the part of rank 0; its results are those of the whole model."""
        self._local = local
        self._ranks = ranks
        self.pool = local.pool
        self.draws = local.draws

    def run(self, batch: Batch) -> Forwarded:
        """Compute a batch; it is sent once to each rank."""
        with self._ranks.in_step():
            self._ranks.send(Run(batch))
            return self._local.run(batch)

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32[rows, vocab_size] of last hidden states [rows, hidden_size]."""
        with self._ranks.in_step():
            hidden = hidden.contiguous()
            self._ranks.send(Logits(tuple(hidden.shape), hidden.dtype))
            dist.broadcast(hidden, src=0)
            return self._local.logits(hidden)


@dataclass(frozen=True, slots=True)
class ParallelStep:
    """A step that all ranks compute."""

    local: Launched
    ranks: Ranks

    def result(self) -> Forwarded:
        """Wait for the step; an error loses the ranks."""
        with self.ranks.in_step():
            return self.local.result()


class AsynchronousParallelForward(ParallelForward):
    """An AsynchronousForwardPass over one of rank 0."""

    def __init__(self, local: AsynchronousForwardPass, ranks: Ranks) -> None:
        super().__init__(local, ranks)
        self._steps = Steps(local)

    def launch(self, batch: Batch, after: ParallelStep | None = None) -> ParallelStep:
        """Start a batch on every rank."""
        with self._ranks.in_step():
            self._ranks.send(Run(batch))
            local = self._steps.start(batch, after and after.local)
            return ParallelStep(local, self._ranks)


def divided(local: ForwardPass, ranks: Ranks) -> ForwardPass:
    """Return the forward pass of all ranks, asynchronous where that of rank 0 is."""
    if isinstance(local, AsynchronousForwardPass):
        return AsynchronousParallelForward(local, ranks)
    return ParallelForward(local, ranks)
