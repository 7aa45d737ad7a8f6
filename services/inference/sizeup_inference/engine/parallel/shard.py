"""A rank's part of a model: the same forward pass as on rank 0, which tells it what to compute."""

from collections.abc import Callable

import torch
import torch.distributed as dist

from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.loading.make_forward import load_forward
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


def serve(join: Join, receive: Callable[[], Request], report: Callable[[Report], None]) -> None:
    """Join the group, then compute what rank 0 sends; does not return."""
    join_group(open_store(join.port), join.rank, join.size, join.device_type)
    forward: ForwardPass | None = None
    while True:
        match receive():
            case Load(load, options):
                forward = None  # its memory is free before the next one is loaded
                loaded = load_forward(load, options)
                forward = loaded.forward
                torch.set_num_threads(loaded.threads)
                report(Loaded(loaded.memory_bytes, loaded.device_bytes))
            case Run(batch):
                assert forward is not None  # rank 0 loads first
                forward.run(batch)
            case Logits(shape, dtype):
                assert forward is not None
                hidden = torch.empty(shape, dtype=dtype, device=join.device_type)
                dist.broadcast(hidden, src=0)
                forward.logits(hidden)
