"""Make the forward pass of an accelerator, with the fast paths that pass their check there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.forwards.cuda import CudaDevice
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kernels.architectures import has_static_rope
from sizeup_inference.engine.loading.agreement import first_reason
from sizeup_inference.engine.loading.memory import PoolOptions, make_pool
from sizeup_inference.engine.loading.model_shape import head_dim, ranks_of, text_config
from sizeup_inference.engine.loading.self_check import SelfCheck, draws_differ

log = logging.getLogger(__name__)

VARLEN = "varlen_attention"
GRAPHS = "cuda_graphs"
DRAWS = "device_sampling"
AHEAD = "run_ahead"

_LARGEST_HEAD, _HEAD_UNIT = 256, 8
"""Of FlashAttention 2."""

FindDevice = Callable[[PreTrainedModel], CudaDevice | str]
"""Returns the device of a model's paged forward pass, or why there is none."""


@dataclass(frozen=True, slots=True)
class FastPath:
    """Whether a faster way computes the steps of a loaded model; results are the same without."""

    name: str
    enabled: bool
    reason: str = ""
    """Why it is not enabled."""


def find_cuda(model: PreTrainedModel) -> CudaDevice | str:
    """Return the GPU of a model that FlashAttention can compute, or why there is none."""
    devices = {parameter.device for parameter in model.parameters()}
    size = head_dim(text_config(model))
    if any(device.type != "cuda" for device in devices):
        return "not on a GPU"
    if len(devices) > 1:
        return f"layers on {len(devices)} GPUs"
    if model.dtype not in (torch.bfloat16, torch.float16):
        return f"no FlashAttention for {model.dtype}"
    if size > _LARGEST_HEAD or size % _HEAD_UNIT:
        return f"no FlashAttention for head_dim {size}"
    return CudaDevice(devices.pop())


def make_paged(
    model: PreTrainedModel, options: PoolOptions, device: CudaDevice
) -> tuple[ForwardPass, tuple[FastPath, ...]]:
    """Return the fastest forward pass that computes what the plain one does on this device.

    Raises LoadError for too little memory.
    """
    pool = make_pool(model, options, device.page_size, padding_pages=1)
    paged = PagedForward(model, pool, device)
    check = SelfCheck(model, pool, options.max_model_len)

    def checked() -> str | None:
        found = check.difference(paged)
        # Ranks would have to agree on the exact result, and have parts of weights.
        return check.difference(paged, model) if found and ranks_of(model) == 1 else found

    varlen = _tried(model, VARLEN, checked)
    if not varlen.enabled:
        plain = TransformersForward(model, pool)
        return plain, (varlen, *unused_paths(f"no {VARLEN}")[1:])

    def captured() -> str | None:
        if not has_static_rope(text_config(model)):
            return "frequencies that depend on positions"
        table_width = -(-options.max_model_len // device.page_size)
        paged.capture(options.sequences, min(table_width, pool.layout.pages))
        return checked()

    graphs = _tried(model, GRAPHS, captured)
    if not graphs.enabled:
        paged.drop_graphs()
    logits = check.plain[0].logits.to(pool.keys[0].device, model.dtype)
    drawing = _tried(model, DRAWS, lambda: draws_differ(logits))
    paged.draws = drawing.enabled
    return paged, (varlen, graphs, drawing, FastPath(AHEAD, enabled=True))


def unused_paths(reason: str) -> tuple[FastPath, ...]:
    """Return the fast paths of accelerators, none of them enabled."""
    return tuple(
        FastPath(name, enabled=False, reason=reason) for name in (VARLEN, GRAPHS, DRAWS, AHEAD)
    )


def _tried(model: PreTrainedModel, name: str, failure: Callable[[], str | None]) -> FastPath:
    """Try a fast path; whatever it raises is why it is not used, on any rank."""
    try:
        reason = failure()
    except Exception as error:  # of a kernel that this GPU, driver or build does not have
        log.debug("fast_path.raised", extra={"path": name}, exc_info=True)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    reason = first_reason(model, reason)
    if reason is None:
        return FastPath(name, enabled=True)
    log.error("fast_path.disabled", extra={"path": name, "reason": reason})
    return FastPath(name, enabled=False, reason=reason)
