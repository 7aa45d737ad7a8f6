"""Load a model on several ranks."""

from dataclasses import replace

import torch

from sizeup_inference.engine.loading.make_forward import (
    ForwardOptions,
    LoadedForward,
    load_forward,
)
from sizeup_inference.engine.loading.make_paged import FindDevice, find_cuda
from sizeup_inference.engine.loading.weights import LoadOptions, read_text_config
from sizeup_inference.engine.parallel.messages import Load
from sizeup_inference.engine.parallel.parallel_forward import ParallelForward
from sizeup_inference.engine.parallel.ranks import Ranks
from sizeup_inference.engine.parallel.requirements import check_divisible, choose_device_type


def load_parallel(load: LoadOptions, options: ForwardOptions) -> LoadedForward:
    """Start as many ranks as `load.tensor_parallel` says and load the model on them.

    Raises LoadError for a model whose heads cannot be divided, for missing GPUs, and for a rank
    that fails, and whatever loading raises.
    """
    size = load.tensor_parallel
    check_divisible(read_text_config(load.folder), size)
    # transformers asks for the accelerator in the same way.
    found = torch._C._get_accelerator().type
    device_type = choose_device_type(load.device, size, found, torch.cuda.device_count())
    ranks = Ranks(size, device_type)
    try:
        return load_on(ranks, load, options)
    except BaseException as error:
        ranks.lose(f"rank 0: {type(error).__name__}: {error}")
        raise


def load_on(
    ranks: Ranks, load: LoadOptions, options: ForwardOptions, find_device: FindDevice = find_cuda
) -> LoadedForward:
    """Load a model on running ranks; memory is that of all ranks together."""

    def load_parts() -> LoadedForward:
        ranks.send(Load(load, options))
        local = load_forward(load, options, find_device)
        others = ranks.await_loaded()
        return replace(
            local,
            forward=ParallelForward(local.forward, ranks),
            memory_bytes=local.memory_bytes + sum(o.memory_bytes for o in others),
            device_bytes=local.device_bytes + sum(o.device_bytes for o in others),
            tensor_parallel=ranks.size,
            when_lost=ranks.when_lost,
        )

    return ranks.unless_lost(load_parts)
