"""Starting steps on a rank, in the way that every rank has to."""

from typing import Any

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import (
    Batch,
    ForwardPass,
    Launched,
    launch_of,
)


class Steps:
    """The steps of one rank's forward pass, which may be launched ahead of their tokens."""

    def __init__(self, forward: ForwardPass) -> None:
        self.forward = forward
        self._launch = launch_of(forward)

    @torch.inference_mode()
    def start(self, batch: Batch, before: Any) -> Launched:
        """Start a batch; where it has `ids_from`, they refer to the PagedStep before.

        Its tokens are rank 0's: sums on a GPU depend on the order of their terms, so that two ranks
        may draw different tokens from the same logits.
        """
        if not batch.ids_from:
            return self._launch(batch, None)
        dist.broadcast(before.best, src=0)
        return self._launch(batch, before)
