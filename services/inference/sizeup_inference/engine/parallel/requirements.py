"""What a model and a machine need for tensor parallelism."""

from transformers import PretrainedConfig

from sizeup_inference.engine.loading.load_error import LoadError

_ACCELERATORS = ("cpu", "cuda")
"""What torch may find, of which there is a backend for groups of processes: gloo and NCCL."""


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
