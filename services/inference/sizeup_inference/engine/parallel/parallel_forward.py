"""The forward pass of rank 0, which every other rank computes along with it."""

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.parallel.messages import Logits, Run
from sizeup_inference.engine.parallel.ranks import Ranks


class ParallelForward:
    """A ForwardPass whose heads, weights and KV heads are divided among ranks.

    An error on any rank ends all of them, since the others wait for it in a collective.
    """

    def __init__(self, local: ForwardPass, ranks: Ranks) -> None:
        """`local` computes the part of rank 0; its results are those of the whole model."""
        self._local = local
        self._ranks = ranks
        self.pool = local.pool

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
