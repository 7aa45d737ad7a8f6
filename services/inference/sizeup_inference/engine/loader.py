"""Load a model folder with transformers and reserve its KV pool.

safetensors only and no code from the folder: the checks of weights.py come before this.
"""

import os
from collections.abc import Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from sizeup_inference.engine.attention import ATTENTION_NAME, usable_decode_function
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout

_CPU_KV_SHARE = 0.2
"""Of the memory that is free after loading: three models side by side still leave 40 %."""

_GPU_KV_SHARE = 0.85
"""Of the device memory that is free after loading; the rest is for activations of a step."""

_SINGLE_GPU_SHARE = 0.8
"""Weights up to this share of one GPU stay on it; larger ones are spread by accelerate."""

_LAYER_KINDS = {"full_attention", "sliding_attention"}
"""Kinds of layers, in transformers' words, whose state is keys and values and nothing else."""

PAGE_SIZE = 16
"""Tokens a page holds, as in vLLM: half a page is wasted per sequence on average."""

_CGROUP = Path("/sys/fs/cgroup")
"""A container sees its own cgroup (version 2) here."""


class LoadError(Exception):
    """The model cannot be loaded as asked; the message says why and is safe to show."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What to load, and where."""

    folder: Path
    device: str
    """auto, cpu, cuda or cuda:N."""
    dtype: str
    """auto (as the model's config says), float32, bfloat16 or float16."""


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How large the KV pool should be."""

    max_tokens: int
    """Tokens that can be in use at most: sequences times context."""
    kv_cache_bytes: int | None


def load_model(options: LoadOptions) -> PreTrainedModel:
    """Load weights for inference with the pooled attention.

    Raises LoadError for a device that is not there, for a model the engine cannot run, for weights
    that are not in the files or do not fit the devices, and transformers' own errors for weights
    that do not fit their configuration.
    """
    weights = sum(f.stat().st_size for f in options.folder.glob("*.safetensors"))
    device_map = choose_device_map(options.device, weights, free_gpu_bytes(options.device))
    _require_supported(
        AutoConfig.from_pretrained(options.folder, trust_remote_code=False, local_files_only=True)
    )
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        options.folder,
        dtype=options.dtype,
        device_map=device_map,
        attn_implementation=ATTENTION_NAME,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    model: PreTrainedModel
    model, report = loaded
    # transformers makes up what it does not find, and goes on.
    if missing := sorted(report["missing_keys"]):
        raise LoadError(f"{len(missing)} weights are not in the files, {missing[0]} for one")
    _require_in_place(model)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _require_supported(config: PretrainedConfig) -> None:
    """Raise LoadError for a model whose tokens would come out wrong, or not at all."""
    text: PretrainedConfig = config.get_text_config()
    if unknown := set(getattr(text, "layer_types", None) or ()) - _LAYER_KINDS:
        raise LoadError(
            f"{text.model_type} has layers of a kind that is not supported: "
            + ", ".join(sorted(unknown))
        )
    if getattr(text, "attn_logit_softcapping", None) is not None:
        raise LoadError(f"{text.model_type} caps its attention's scores, which is not supported")


def _require_in_place(model: PreTrainedModel) -> None:
    """Raise LoadError when accelerate has put layers off the GPUs: each step would fetch them."""
    absent = sum(parameter.is_meta for parameter in model.parameters())
    if absent:
        raise LoadError(f"the GPUs here are too small: {absent} weights do not fit them")


def free_gpu_bytes(device: str) -> Seq[int]:
    """Return the free memory of each GPU that is here; 0 where no choice depends on it.

    Asking takes some hundred MB of the GPU asked, which on the others belongs to somebody else.
    """
    if device == "cpu":
        return []
    choosing = device in ("auto", "cuda")
    gpus = range(torch.cuda.device_count())
    return [torch.cuda.mem_get_info(gpu)[0] if choosing else 0 for gpu in gpus]


def choose_device_map(
    device: str, weight_bytes: int, free_gpu_bytes: Seq[int]
) -> str | Mapping[str, str]:
    """Decide where the layers go: one device, or accelerate's "auto" over several GPUs.

    Raises LoadError for a GPU that is not there.
    """
    if device == "cpu" or (device == "auto" and not free_gpu_bytes):
        return {"": "cpu"}
    if device in ("auto", "cuda") and free_gpu_bytes:
        fits_one = weight_bytes <= _SINGLE_GPU_SHARE * free_gpu_bytes[0]
        return {"": "cuda:0"} if fits_one or len(free_gpu_bytes) == 1 else "auto"
    if device in {f"cuda:{i}" for i in range(len(free_gpu_bytes))}:
        return {"": device}
    raise LoadError(f"no device {device!r} here: {len(free_gpu_bytes)} GPU(s) found")


def make_pool(model: PreTrainedModel, options: PoolOptions) -> KVPool:
    """Reserve the KV pool, each layer's part on that layer's device.

    On a CPU keys and values are float32, which its attention kernels prefer whatever the weights
    are, and block tables are contiguous, so that they are read without a copy.
    """
    config = text_config(model)
    devices = [next(layer.parameters()).device for layer in layers_of(model)]
    on_cpu = all(d.type == "cpu" for d in devices)
    dtype = torch.float32 if on_cpu else model.dtype
    layout = PoolLayout(0, PAGE_SIZE, config.num_key_value_heads, head_dim(config), on_cpu)
    layers_on = {d: devices.count(d) for d in devices}
    page_bytes = {d: layout.bytes_per_page(n, dtype) for d, n in layers_on.items()}
    pages = count_pages(
        {d: _kv_budget(d) for d in layers_on}, page_bytes, options, layout.page_size
    )
    sized = PoolLayout(pages, layout.page_size, layout.kv_heads, layout.head_dim, layout.contiguous)
    heads = config.num_attention_heads
    return KVPool(sized, dtype, devices, usable_decode_function(sized, heads) if on_cpu else None)


def count_pages(
    budgets: Mapping[torch.device, int],
    page_bytes: Mapping[torch.device, int],
    options: PoolOptions,
    page_size: int,
) -> int:
    """Say how many pages fit every device's budget in bytes, and are of use.

    Raises LoadError when not even one fits.
    """
    useful = -(-options.max_tokens // page_size)
    if options.kv_cache_bytes is not None:
        affordable = options.kv_cache_bytes // sum(page_bytes.values())
    else:
        affordable = min(budgets[d] // page_bytes[d] for d in page_bytes)
    pages = min(useful, affordable)
    if pages < 1:
        raise LoadError(
            f"no room for the KV cache: a page of {page_size} tokens takes "
            f"{sum(page_bytes.values())} bytes"
        )
    return pages


def _kv_budget(device: torch.device) -> int:
    if device.type == "cuda":
        return int(_GPU_KV_SHARE * torch.cuda.mem_get_info(device)[0])
    return int(_CPU_KV_SHARE * available_memory_bytes())


def available_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return the bytes of memory that programs can still take, the cgroup's limit included."""
    available = _host_memory_bytes()
    limit, used = (_cgroup_number(cgroup / n) for n in ("memory.max", "memory.current"))
    if limit is None:
        return available
    return min(available, limit - (used or 0) + _reclaimable_bytes(cgroup / "memory.stat"))


def _host_memory_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    # macOS does not say what is free; the whole is its nearest number.
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)


def _reclaimable_bytes(stat: Path) -> int:
    """Return the file pages nobody has used lately; the kubelet does not count them either.

    After loading they are the weight files just read, and memory.current includes them.
    """
    lines = stat.read_text().splitlines() if stat.exists() else []
    fields = dict(line.split() for line in lines)
    return int(fields.get("inactive_file", 0))


def _cgroup_number(file: Path) -> int | None:
    """Read a number of the process's cgroup (version 2); None without one or without a limit."""
    text = file.read_text().strip() if file.exists() else "max"
    return None if text == "max" else int(text)


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the part of the configuration that describes the language model."""
    config: PretrainedConfig = model.config.get_text_config()
    return config


def head_dim(config: PretrainedConfig) -> int:
    """Return the width of one attention head; Qwen3 states it, Qwen2 implies it."""
    implied: int = config.hidden_size // config.num_attention_heads
    return getattr(config, "head_dim", None) or implied


def layers_of(model: PreTrainedModel) -> Seq[torch.nn.Module]:
    """Return the decoder layers, first to last."""
    return list(model.get_decoder().layers)  # type: ignore[no-untyped-call]
