"""A rank's part of a model: the forward pass of rank 0, over the batches that rank 0 sends."""

import gc
import logging
from collections.abc import Callable

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import ForwardPass, Launched
from sizeup_inference.engine.loading.make_forward import ForwardOptions, load_forward
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel.group import join_group, open_store
from sizeup_inference.engine.parallel.messages import (
    Join,
    Load,
    Loaded,
    Logits,
    Report,
    Request,
    Run,
)
from sizeup_inference.engine.parallel.steps import Steps

log = logging.getLogger(__name__)


def serve(join: Join, receive: Callable[[], Request], report: Callable[[Report], None]) -> None:
    """Join the group, then compute what rank 0 sends; does not return."""
    join_group(open_store(join.port), join.rank, join.size, join.device_type)
    steps: Steps | None = None
    step: Launched | None = None
    while True:
        match receive():
            case Load(load, options):
                steps = step = None  # their memory is free before the next model is loaded
                steps = Steps(_load(load, options, report))
            case Run(batch):
                assert steps is not None  # rank 0 loads first
                step = steps.start(batch, step)
            case Logits(shape, dtype):
                assert steps is not None
                hidden = torch.empty(shape, dtype=dtype, device=join.device_type)
                dist.broadcast(hidden, src=0)
                steps.forward.logits(hidden)


def _load(
    load: LoadOptions, options: ForwardOptions, report: Callable[[Report], None]
) -> ForwardPass:
    loaded = load_forward(load, options)
    torch.set_num_threads(loaded.threads)
    gc.freeze()  # a collection of what imports and loading leave takes longer than a step
    log.info("rank.loaded", extra={"memory_bytes": loaded.memory_bytes})
    report(Loaded(loaded.memory_bytes, loaded.device_bytes))
    return loaded.forward
