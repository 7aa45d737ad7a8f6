"""Load a model folder with transformers and allocate its KV pool.

safetensors only and no code from the folder. The caller verifies the files: their structure before
loading, their checksums at the latest before the model generates.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from sizeup_inference.engine.attention import ATTENTION_NAME
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout

_CPU_KV_SHARE = 0.2
"""Of the memory available after loading: three models side by side still leave 40 %."""

_GPU_KV_SHARE = 0.85
"""Of the device memory free after loading; the rest is for the activations of a step."""

_SINGLE_GPU_SHARE = 0.8
"""Weights up to this share of one GPU are placed on it; accelerate distributes larger ones."""

_LAYER_KINDS = {"full_attention", "sliding_attention"}
"""transformers' layer_types whose only state is keys and values."""

PAGE_SIZE = 16
"""Tokens in a page, as in vLLM: half a page is unused per sequence on average."""

_CGROUP = Path("/sys/fs/cgroup")
"""Where a container finds its own cgroup (version 2)."""


class LoadError(Exception):
    """The model cannot be loaded with these settings; the message is safe to show to a user."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The model folder, its placement and its dtype."""

    folder: Path
    device: str
    """auto, cpu, cuda or cuda:N."""
    dtype: str
    """auto (that of the model's config), float32, bfloat16 or float16."""
    tie_head: bool = False
    """Take the embedding of tokens as the output head: the files of a model that only embeds text
    may lack one."""


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """The size of the KV pool."""

    max_tokens: int
    """Tokens that can be in use at once: sequences times context."""
    kv_cache_bytes: int | None
    """None: a share of the memory available."""


def load_model(options: LoadOptions) -> PreTrainedModel:
    """Load weights for inference with the pooled attention.

    On a CPU, weights whose dtype is the requested one are the mapped file: loading reads and copies
    nothing, and a page is read on its first use.

    Raises LoadError for a missing device, an unsupported architecture, missing weights and weights
    that exceed the devices' memory, and transformers' own errors for weights that do not match
    their configuration.
    """
    weights = sum(f.stat().st_size for f in options.folder.glob("*.safetensors"))
    device_map = choose_device_map(options.device, weights, free_gpu_bytes(options.device))
    _require_supported(_read_config(options.folder))
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it writes to stderr, among the logs
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        options.folder,
        dtype=options.dtype,
        device_map=device_map,
        attn_implementation=ATTENTION_NAME,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **({"tie_word_embeddings": True} if options.tie_head else {}),
    )
    model: PreTrainedModel
    model, report = loaded
    # transformers initializes missing weights at random and only warns.
    if missing := sorted(report["missing_keys"]):
        raise LoadError(f"{len(missing)} weights are missing from the files, such as {missing[0]}")
    _require_in_place(model)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _require_supported(config: PretrainedConfig) -> None:
    """Raise LoadError for an architecture that the engine would compute wrongly or not at all."""
    text: PretrainedConfig = config.get_text_config()
    if unknown := set(getattr(text, "layer_types", None) or ()) - _LAYER_KINDS:
        names = ", ".join(sorted(unknown))
        raise LoadError(f"{text.model_type} has unsupported layer types: {names}")
    if not getattr(text, "is_causal", True) or getattr(text, "use_bidirectional_attention", False):
        raise LoadError(f"{text.model_type} uses bidirectional attention, which is not supported")
    if getattr(text, "attn_logit_softcapping", None) is not None:
        raise LoadError(f"{text.model_type} uses attention softcapping, which is not supported")


def _require_in_place(model: PreTrainedModel) -> None:
    """Raise LoadError when accelerate has offloaded layers: each step would copy them in."""
    offloaded = sum(parameter.is_meta for parameter in model.parameters())
    if offloaded:
        raise LoadError(f"insufficient GPU memory: {offloaded} weights do not fit")


def free_gpu_bytes(device: str) -> Sequence[int]:
    """Return the free memory of each visible GPU; 0 where placement does not depend on it.

    A query creates a CUDA context of some hundred MB on its GPU, so GPUs that other processes use
    are not queried.
    """
    if device == "cpu":
        return []
    choosing = device in ("auto", "cuda")
    gpus = range(torch.cuda.device_count())
    return [torch.cuda.mem_get_info(gpu)[0] if choosing else 0 for gpu in gpus]


def choose_device_map(
    device: str, weight_bytes: int, free_gpu_bytes: Sequence[int]
) -> str | Mapping[str, str]:
    """Return the placement of the layers: one device, or accelerate's "auto" over several GPUs.

    Raises LoadError for a missing GPU.
    """
    if device == "cpu" or (device == "auto" and not free_gpu_bytes):
        return {"": "cpu"}
    if device in ("auto", "cuda") and free_gpu_bytes:
        fits_one = weight_bytes <= _SINGLE_GPU_SHARE * free_gpu_bytes[0]
        return {"": "cuda:0"} if fits_one or len(free_gpu_bytes) == 1 else "auto"
    if device in {f"cuda:{i}" for i in range(len(free_gpu_bytes))}:
        return {"": device}
    raise LoadError(f"device {device!r} not found: {len(free_gpu_bytes)} GPU(s) available")


def make_pool(model: PreTrainedModel, options: PoolOptions, page_size: int) -> KVPool:
    """Allocate the KV pool in the model's dtype, each layer's part on that layer's device."""
    config = text_config(model)
    devices = [next(layer.parameters()).device for layer in layers_of(model)]
    layout = PoolLayout(0, page_size, config.num_key_value_heads, head_dim(config))
    layers_on = {d: devices.count(d) for d in devices}
    page_bytes = {d: layout.bytes_per_page(n, model.dtype) for d, n in layers_on.items()}
    pages = count_pages(
        {d: _kv_budget(d) for d in layers_on}, page_bytes, options, layout.page_size
    )
    return KVPool(replace(layout, pages=pages), model.dtype, devices)


def count_pages(
    budgets: Mapping[torch.device, int],
    page_bytes: Mapping[torch.device, int],
    options: PoolOptions,
    page_size: int,
) -> int:
    """Return how many pages are useful and fit the budget of every device, in bytes.

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
            f"insufficient memory for the KV cache: a page of {page_size} tokens needs "
            f"{sum(page_bytes.values())} bytes"
        )
    return pages


def _kv_budget(device: torch.device) -> int:
    if device.type == "cuda":
        return int(_GPU_KV_SHARE * torch.cuda.mem_get_info(device)[0])
    return int(_CPU_KV_SHARE * available_memory_bytes())


def available_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return the bytes of memory that can still be allocated, within the cgroup's limit."""
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
    # macOS does not report available pages; the total is the closest figure.
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)


def _reclaimable_bytes(stat: Path) -> int:
    """Return the inactive page cache, which the kubelet does not count as used either.

    After loading it holds the weight files just read, and memory.current includes it.
    """
    lines = stat.read_text().splitlines() if stat.exists() else []
    fields = dict(line.split() for line in lines)
    return int(fields.get("inactive_file", 0))


def _cgroup_number(file: Path) -> int | None:
    """Return a value of the process's cgroup (version 2); None without a cgroup or a limit."""
    text = file.read_text().strip() if file.exists() else "max"
    return None if text == "max" else int(text)


def read_text_config(folder: Path) -> PretrainedConfig:
    """Return the configuration of a folder's language model."""
    config: PretrainedConfig = _read_config(folder).get_text_config()
    return config


def _read_config(folder: Path) -> PretrainedConfig:
    config: PretrainedConfig = AutoConfig.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    return config


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the configuration of the language model, which multimodal models nest."""
    config: PretrainedConfig = model.config.get_text_config()
    return config


def head_dim(config: PretrainedConfig) -> int:
    """Return the size of an attention head: explicit in Qwen3's config, implied in Qwen2's."""
    implied: int = config.hidden_size // config.num_attention_heads
    return getattr(config, "head_dim", None) or implied


def layers_of(model: PreTrainedModel) -> Sequence[torch.nn.Module]:
    """Return the decoder layers in order."""
    return list(model.get_decoder().layers)  # type: ignore[no-untyped-call]
