"""The memory of a KV pool: how much is available, and how many pages are of use."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.kv_pool import KVPool, PoolLayout
from sizeup_inference.engine.loading.agreement import smallest
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.model_shape import (
    head_dim,
    kv_heads,
    layers_of,
    ranks_of,
    text_config,
)

_CPU_KV_SHARE = 0.2
"""Of the memory available after loading: three models side by side still leave 40 %."""

_GPU_KV_SHARE = 0.85
"""Of the device memory free after loading; the rest is for the activations of a step."""

_CUDA_CONTEXT_BYTES = 512 << 20
"""What a process takes of a GPU beside its allocations: the context and the code of kernels."""

PAGE_SIZE = 16
"""Tokens in a page, as in vLLM: half a page is unused per sequence on average."""

_CGROUP = Path("/sys/fs/cgroup")
"""Where a container finds its own cgroup (version 2)."""


@dataclass(frozen=True, slots=True)
class DraftMemory:
    """What a draft model will take on the device of the first layer, once it is loaded."""

    weight_bytes: int
    kv_bytes_per_token: int


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """The size of the KV pool."""

    sequences: int
    """In use at once, at most."""
    max_model_len: int
    """Tokens of each, at most."""
    kv_cache_bytes: int | None = None
    """Of all ranks together. None: a share of the memory available."""
    gpu_memory_bytes: int | None = None
    """Memory of each GPU that the process may use; None: all that is free."""
    draft: DraftMemory | None = None
    """Both models' pools share the memory."""
    like: PoolLayout | None = None
    """Instead of these sizes, pages as of another model's pool: block tables index both."""


def make_pool(
    model: PreTrainedModel, options: PoolOptions, page_size: int, *, padding_pages: int = 0
) -> KVPool:
    """Allocate the KV pool in the model's dtype, each layer's part on that layer's device.

    Every rank has its own KV heads of each page, and as many pages as the others. Raises LoadError
    where less than a page fits.
    """
    config, ranks = text_config(model), ranks_of(model)
    devices = [next(layer.parameters()).device for layer in layers_of(model)]
    layout = PoolLayout(0, page_size, kv_heads(model), head_dim(config))
    if options.like is not None:
        layout = replace(layout, pages=options.like.pages, page_size=options.like.page_size)
        return KVPool(layout, model.dtype, devices, padding_pages=padding_pages)
    layers_on = {d: devices.count(d) for d in devices}
    page_bytes = {d: layout.bytes_per_page(n, model.dtype) for d, n in layers_on.items()}
    reserved = dict.fromkeys(layers_on, 0)
    if options.draft is not None:
        page_bytes[devices[0]] += options.draft.kv_bytes_per_token * page_size
        reserved[devices[0]] = options.draft.weight_bytes
    if options.kv_cache_bytes is not None:
        options = replace(options, kv_cache_bytes=options.kv_cache_bytes // ranks)
    limit = options.gpu_memory_bytes
    budgets = {
        d: _kv_budget(d, limit, ranks, reserved[d]) - padding_pages * page_bytes[d]
        for d in layers_on
    }
    pages = count_pages(budgets, page_bytes, options, layout.page_size)
    layout = replace(layout, pages=smallest(model, pages))
    return KVPool(layout, model.dtype, devices, padding_pages=padding_pages)


def count_pages(
    budgets: Mapping[torch.device, int],
    page_bytes: Mapping[torch.device, int],
    options: PoolOptions,
    page_size: int,
) -> int:
    """Return how many pages are useful and fit the budget of every device, in bytes.

    Raises LoadError when not even one fits.
    """
    useful = options.sequences * -(-options.max_model_len // page_size)
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


def _kv_budget(
    device: torch.device, gpu_memory_bytes: int | None, ranks: int, reserved: int
) -> int:
    """Return the bytes for the pool of one of `ranks`, which share a CPU's memory."""
    if device.type != "cuda":
        return int(_CPU_KV_SHARE * (available_memory_bytes() - reserved)) // ranks
    free, allocated = torch.cuda.mem_get_info(device)[0], torch.cuda.memory_allocated(device)
    return gpu_budget(free - reserved, allocated + reserved, gpu_memory_bytes)


def gpu_budget(free: int, allocated: int, limit: int | None) -> int:
    """Return the bytes of a GPU for the KV pool.

    `free` is what no process uses, `allocated` what this one has, and `limit` what it may have.
    """
    return int(_GPU_KV_SHARE * usable_gpu_bytes(free, limit, allocated))


def usable_gpu_bytes(free: int, limit: int | None, allocated: int = 0) -> int:
    """Return how many of the free bytes of a GPU this process may still allocate."""
    return free if limit is None else min(free, limit - _CUDA_CONTEXT_BYTES - allocated)


def bound_gpu_memory(limit: int | None, gpus: Sequence[int]) -> None:
    """Make allocations of this process beyond `limit` bytes of a GPU fail, on each of them."""
    if limit is None:
        return
    for gpu in gpus:
        total = torch.cuda.get_device_properties(gpu).total_memory
        torch.cuda.set_per_process_memory_fraction(gpu_fraction(limit, total), gpu)


def gpu_fraction(limit: int, total: int) -> float:
    """Return the share of a GPU's memory for allocations: its context takes some of the limit.

    Raises LoadError for a limit that leaves none.
    """
    if limit <= _CUDA_CONTEXT_BYTES:
        raise LoadError(f"{limit} bytes of a GPU do not hold its context of {_CUDA_CONTEXT_BYTES}")
    return min(1.0, (limit - _CUDA_CONTEXT_BYTES) / total)


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
