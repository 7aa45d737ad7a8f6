"""The forward pass of rank 0, which every other rank computes along with it."""

from dataclasses import dataclass

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass, Launched
from sizeup_inference.engine.parallel.messages import Logits
from sizeup_inference.engine.parallel.ranks import Ranks
from sizeup_inference.engine.parallel.shard import start


@dataclass(frozen=True, slots=True)
class ParallelStep:
    """A step that all ranks compute."""

    local: Launched
    ranks: Ranks

    def result(self) -> Forwarded:
        """Wait for the step; an error loses the ranks."""
        with self.ranks.in_step():
            return self.local.result()


class ParallelForward(ForwardPass):
    """A forward pass whose heads, weights and KV heads are divided among ranks.

    An error on any rank ends all of them, since the others wait for it in a collective.
    """

    def __init__(self, local: ForwardPass, ranks: Ranks) -> None:
        """`local` computes the part of rank 0; its results are those of the whole model."""
        self._local = local
        self._ranks = ranks
        self.pool = local.pool
        self.draws = local.draws
        self.is_asynchronous = local.is_asynchronous

    def run(self, batch: Batch) -> Forwarded:
        return self.launch(batch).result()

    def launch(self, batch: Batch, after: ParallelStep | None = None) -> ParallelStep:
        """Start a batch on every rank; it is sent once to each."""
        with self._ranks.in_step():
            self._ranks.send(batch)
            return ParallelStep(start(self._local, batch, after and after.local), self._ranks)

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        with self._ranks.in_step():
            hidden = hidden.contiguous()
            self._ranks.send(Logits(tuple(hidden.shape), hidden.dtype))
            dist.broadcast(hidden, src=0)
            return self._local.logits(hidden)
