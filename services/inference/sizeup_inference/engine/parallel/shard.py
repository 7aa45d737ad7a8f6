"""A rank's part of a model: the forward pass of rank 0, over the batches that rank 0 sends."""

import gc
import logging
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import Batch, ForwardPass, Launched
from sizeup_inference.engine.loading.make_forward import ForwardOptions, load_forward
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel.group import join_group, open_store
from sizeup_inference.engine.parallel.messages import Join, Load, Loaded, Logits, Report, Request

log = logging.getLogger(__name__)


def serve(join: Join, receive: Callable[[], Request], report: Callable[[Report], None]) -> None:
    """Join the group, then compute what rank 0 sends; does not return."""
    join_group(open_store(join.port), join.rank, join.size, join.device_type)
    forward: ForwardPass | None = None
    step: Launched | None = None
    while True:
        match receive():
            case Load(load, options):
                forward = step = None  # their memory is free before the next model is loaded
                forward = _load(load, options, report)
            case Batch() as batch:
                assert forward is not None  # rank 0 loads first
                step = start(forward, batch, step)
            case Logits(shape, dtype):
                assert forward is not None
                hidden = torch.empty(shape, dtype=dtype, device=join.device_type)
                dist.broadcast(hidden, src=0)
                forward.logits(hidden)


@torch.inference_mode()
def start(forward: ForwardPass, batch: Batch, before: Any) -> Launched:
    """Start a batch on this rank; where it has `ids_from`, they refer to the PagedStep before.

    Its tokens are rank 0's: sums on a GPU depend on the order of their terms, so that two ranks may
    draw different tokens from the same logits.
    """
    if not batch.ids_from:
        return forward.launch(batch)
    dist.broadcast(before.best, src=0)
    return forward.launch(batch, before)


def _load(
    load: LoadOptions, options: ForwardOptions, report: Callable[[Report], None]
) -> ForwardPass:
    loaded = load_forward(load, options)
    torch.set_num_threads(loaded.threads)
    gc.freeze()  # a collection of what imports and loading leave takes longer than a step
    log.info("rank.loaded", extra={"memory_bytes": loaded.memory_bytes})
    report(Loaded(loaded.memory_bytes, loaded.device_bytes))
    return loaded.forward
