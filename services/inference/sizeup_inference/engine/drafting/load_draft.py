"""Load a draft model beside the model that it drafts for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from sizeup_inference.engine.drafting.drafter import Drafter
from sizeup_inference.engine.drafting.policy import DraftPolicy
from sizeup_inference.engine.forward import Batch, ForwardPass
from sizeup_inference.engine.forwards.cuda import CudaDevice
from sizeup_inference.engine.kernels.decoder import PAGE_SIZE as COMPILED_PAGE_SIZE
from sizeup_inference.engine.kernels.decoder import CompiledDecoder
from sizeup_inference.engine.kv_pool import PoolLayout, Span
from sizeup_inference.engine.loading.checkpoints import torch_dtype
from sizeup_inference.engine.loading.make_forward import ForwardOptions, LoadedForward, make_forward
from sizeup_inference.engine.loading.make_paged import AHEAD, FastPath, find_cuda
from sizeup_inference.engine.loading.memory import DraftMemory
from sizeup_inference.engine.loading.model_shape import head_dim
from sizeup_inference.engine.loading.weights import LoadOptions, read_text_config, weight_bytes

_NAME = "drafting"

_TIMED_STEPS = 5
"""Of each model; the fastest counts."""


@dataclass(frozen=True, slots=True)
class LoadedDraft:
    """A draft model, or why none is used."""

    path: FastPath
    drafter: Drafter | None = None
    forward: LoadedForward | None = None


def draft_memory(options: LoadOptions) -> DraftMemory:
    """Return what a draft model will take, by its files."""
    config = read_text_config(options.folder)
    name = config.dtype or "float32" if options.dtype == "auto" else options.dtype
    dtype = torch_dtype(name)
    layout = PoolLayout(1, 1, config.num_key_value_heads, head_dim(config))
    return DraftMemory(
        weight_bytes=weight_bytes(options),
        kv_bytes_per_token=layout.bytes_per_page(config.num_hidden_layers, dtype),
    )


def load_draft(
    load: Callable[[], PreTrainedModel], target: LoadedForward, options: ForwardOptions
) -> LoadedDraft:
    """Load a draft model for a loaded one, on the same pages.

    It is not used where a step takes as long as one of the model: then it cannot pay. Raises what
    make_forward raises.
    """
    layout = target.forward.pool.layout
    # The compiled decoder has one size of page; transformers' modules compute any.
    compiled = options.compiled and layout.page_size == COMPILED_PAGE_SIZE
    pool = replace(options.pool, like=layout)

    def find_device(model: PreTrainedModel) -> CudaDevice | str:
        device = find_cuda(model)
        if isinstance(device, str) or device.page_size == layout.page_size:
            return device
        return f"pages of {layout.page_size} tokens"

    draft = make_forward(load, replace(options, pool=pool, compiled=compiled), find_device)
    seconds, draft_seconds = _step_seconds(target.forward), _step_seconds(draft.forward)
    if draft_seconds >= seconds:
        if isinstance(draft.forward, CompiledDecoder):
            draft.forward.close()
        reason = f"a step takes {_ms(draft_seconds)}, and one of the model {_ms(seconds)}"
        return LoadedDraft(FastPath(_NAME, enabled=False, reason=reason))
    policy = DraftPolicy()
    policy.observe_draft(1, draft_seconds)
    own, target_size = draft.config.vocab_size, target.config.vocab_size
    drafter = Drafter(draft.forward, policy, vocabulary=own, target=target_size)
    return LoadedDraft(FastPath(_NAME, enabled=True), drafter, draft)


def fast_paths(target: LoadedForward, draft: LoadedDraft) -> tuple[FastPath, ...]:
    """Return the fast paths of both: where tokens are drafted, no step is launched ahead."""
    paths = target.fast_paths
    if draft.drafter is not None:
        paths = tuple(
            FastPath(AHEAD, enabled=False, reason=_NAME) if p.name == AHEAD and p.enabled else p
            for p in paths
        )
    return (*paths, draft.path)


def _step_seconds(forward: ForwardPass) -> float:
    """Return the duration of a decoding step; overwrites the first page."""
    batch = Batch([0], (Span(0, 1, 1, (0,)),), [0], [False], wants_hidden=False)
    times = []
    for _ in range(_TIMED_STEPS):
        started = time.monotonic()
        forward.run(batch)
        times.append(time.monotonic() - started)
    return min(times)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
