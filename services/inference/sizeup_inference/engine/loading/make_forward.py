"""Choose what computes steps: the compiled decoder, the paged forward pass, or the plain one."""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedModel

from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kernels.architectures import unsupported_reason
from sizeup_inference.engine.kernels.decoder import PAGE_SIZE as COMPILED_PAGE_SIZE
from sizeup_inference.engine.kernels.decoder import CompiledDecoder
from sizeup_inference.engine.kernels.library import load_library
from sizeup_inference.engine.kernels.quantize import quantizer
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.make_paged import (
    FastPath,
    FindDevice,
    find_cuda,
    make_paged,
    unused_paths,
)
from sizeup_inference.engine.loading.memory import PAGE_SIZE, PoolOptions, make_pool
from sizeup_inference.engine.loading.model_shape import local_part, ranks_of, text_config
from sizeup_inference.engine.loading.quantize_model import quantize_model
from sizeup_inference.engine.loading.quantize_onto_gpu import stored_bytes
from sizeup_inference.engine.loading.self_check import IDS, SelfCheck
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
from sizeup_inference.engine.quantization.formats import Format

log = logging.getLogger(__name__)

_SMALL = 20_000_000
"""Parameters. With one thread instead of two, the toy models (0.5 to 5 million) are 1.08 to 1.21
times as fast for one user and 1.0 to 1.75 times for 32, in two rounds of `sizeup up --threads 1` or
`2` and `sizeup-bench run --only speed`. The smallest Qwen has 464 million and needs every
core."""


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """How a model is computed."""

    pool: PoolOptions
    threads: int | None
    """CPU threads of a step; None: as many as the model makes use of."""
    available_cpus: int
    compiled: bool = True
    quantization: Format | None = None
    """Of the weights; None: as they are loaded."""


@dataclass(frozen=True, slots=True)
class LoadedForward:
    """A forward pass, and facts of the model that it was made from."""

    forward: ForwardPass
    config: PretrainedConfig
    """That of the language model."""
    dtype: torch.dtype
    memory_bytes: int
    """Of the weights."""
    device_bytes: int
    """The part of memory_bytes on accelerators."""
    kernels: str
    """amx, avx512_bf16, portable, varlen_attn or transformers."""
    threads: int
    """CPU threads of a step."""
    fast_paths: tuple[FastPath, ...] = ()
    tensor_parallel: int = 1
    """Ranks."""
    when_lost: Callable[[Callable[[str], None]], None] = lambda on_lost: None
    """Has a function called with the reason, from any thread, when no batch can be computed any
    more and one in progress may never end."""


_COMPILED = "compiled_decoder"


def load_forward(
    load: LoadOptions, options: ForwardOptions, find_device: FindDevice = find_cuda
) -> LoadedForward:
    """Load a model, or a rank's part of it, and make its forward pass; see make_forward."""
    return make_forward(lambda: load_model(load), options, find_device)


def make_forward(
    load: Callable[[], PreTrainedModel],
    options: ForwardOptions,
    find_device: FindDevice = find_cuda,
) -> LoadedForward:
    """Load a model and make its forward pass; `load` is called again if a trial fails.

    Raises LoadError, and whatever `load` raises.
    """
    model = load()
    threads = options.threads or step_threads(model.num_parameters(), options.available_cpus)
    _quantize(model, options)
    facts = _facts(model, threads)
    reason = _unusable_reason(model, options)
    if reason is None:
        pool = make_pool(model, options.pool, COMPILED_PAGE_SIZE)
        check = SelfCheck(model, pool, options.pool.max_model_len)
        decoder = _packed(model, pool, threads)
        reason = check.difference(decoder)
        if reason is not None:
            model = load()
            _quantize(model, options)
            reason = check.difference(decoder, model)
        if reason is None:
            paths = (FastPath(_COMPILED, enabled=True), *unused_paths("on a CPU"))
            return facts(decoder, kernels=decoder.level.name.lower(), fast_paths=paths)
        decoder.close()
        log.error("kernels.unused", extra={"reason": reason})
    device = find_device(model)
    paths = (FastPath(_COMPILED, enabled=False, reason=reason),)
    if isinstance(device, str):
        plain = TransformersForward(model, make_pool(model, options.pool, PAGE_SIZE))
        paths = (*paths, *unused_paths(device))
        return facts(plain, kernels="transformers", fast_paths=paths)
    forward, tried = make_paged(model, options.pool, device)
    kernels = "varlen_attn" if isinstance(forward, PagedForward) else "transformers"
    return facts(forward, kernels=kernels, fast_paths=(*paths, *tried))


def step_threads(parameters: int, cpus: int) -> int:
    """Return the CPU threads that compute a step.

    The matrix products of a small model end before a second thread has woken up, and its gateway,
    which it keeps busy, needs the other cores.
    """
    return 1 if parameters < _SMALL else cpus


def _quantize(model: PreTrainedModel, options: ForwardOptions) -> None:
    """Quantize a model on the CPU; one on a GPU was quantized where it was placed."""
    if options.quantization is None or next(model.parameters()).device.type != "cpu":
        return
    started = time.monotonic()
    with quantizer(options.threads or options.available_cpus) as quantize:
        quantize_model(model, options.quantization, quantize)
    seconds = round(time.monotonic() - started, 2)
    log.info("weights.quantized", extra={"format": options.quantization, "seconds": seconds})


def _facts(model: PreTrainedModel, threads: int) -> Callable[..., LoadedForward]:
    """Measure a model, before its weights are packed."""
    weights = [local_part(t) for t in (*model.parameters(), *model.buffers())]
    return functools.partial(
        LoadedForward,
        config=text_config(model),
        dtype=model.dtype,
        memory_bytes=sum(stored_bytes(t) for t in weights),
        device_bytes=sum(stored_bytes(t) for t in weights if t.device.type != "cpu"),
        threads=threads,
    )


def _unusable_reason(model: PreTrainedModel, options: ForwardOptions) -> str | None:
    if not options.compiled:
        return "switched off"
    if ranks_of(model) > 1:
        return "tensor parallelism"
    if load_library() is None:
        return "not built"
    if text_config(model).vocab_size < IDS:
        return "vocabulary too small for the trial"
    return unsupported_reason(model)


def _packed(model: PreTrainedModel, pool: KVPool, threads: int) -> CompiledDecoder:
    try:
        return CompiledDecoder(model, pool, threads)
    except MemoryError as error:
        raise LoadError("insufficient memory for the packed weights") from error
