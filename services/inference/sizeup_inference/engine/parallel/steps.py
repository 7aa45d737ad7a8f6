"""Starting a step on a rank, as every rank has to."""

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import Batch, ForwardPass, Launched, launch
from sizeup_inference.engine.forwards.paged_forward import PagedStep


@torch.inference_mode()
def start_step(forward: ForwardPass, batch: Batch, before: Launched | None) -> Launched:
    """Start a batch, which takes tokens of the step before where it has `ids_from`.

    Those are rank 0's: sums on a GPU depend on the order of their terms, so that two ranks may draw
    different tokens from the same logits.
    """
    if not batch.ids_from:
        return launch(forward, batch, None)
    assert isinstance(before, PagedStep)  # no other can be launched ahead of its tokens
    dist.broadcast(before.best, src=0)
    return launch(forward, batch, before)
