"""Load a model on several ranks."""

from dataclasses import replace

import torch
from transformers import PretrainedConfig

from sizeup_inference.engine.loading.load_error import LoadError
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

_ACCELERATORS = ("cpu", "cuda")
"""What torch may find, of which there is a backend for groups of processes: gloo and NCCL."""


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


def check_divisible(config: PretrainedConfig, size: int) -> None:
    """Raise LoadError unless every rank gets as many heads; `config` is the language model's.

    Other dimensions need not divide: transformers gives the last rank a smaller part.
    """
    heads = {
        "attention heads": config.num_attention_heads,
        "KV heads": getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
    }
    if undivided := [f"{count} {name}" for name, count in heads.items() if count % size]:
        raise LoadError(
            f"tensor_parallel {size} does not divide the {' and '.join(undivided)} of this model"
        )


def choose_device_type(device: str, size: int, found: str, gpus: int) -> str:
    """Return cpu or cuda, as transformers will place the ranks.

    `found` is the type of torch's accelerator, cpu if there is none; `gpus` are visible. Raises
    LoadError for a device that is neither all GPUs nor the CPU, and for missing GPUs.
    """
    if found not in _ACCELERATORS or device not in ("auto", "cpu", "cuda"):
        raise LoadError(f"tensor_parallel {size} is not available on device {device!r} ({found})")
    if device == "cpu" and found != "cpu":
        raise LoadError(
            f"tensor_parallel {size} on CPUs needs a process that sees no GPU; {gpus} visible"
        )
    if device == "cuda" or found == "cuda":
        if gpus < size:
            raise LoadError(f"tensor_parallel {size} needs {size} GPUs: {gpus} available")
        return "cuda"
    return "cpu"
