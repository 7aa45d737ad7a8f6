"""Attention over the KV pool, registered with transformers by name.

The model runs over one flat batch of tokens from many sequences. It stores keys and values in the
pool (its `past_key_values`) and then calls `pooled_attention`, in which every token attends to the
earlier tokens of its own sequence only.
"""

import logging
import time
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from sizeup_inference.engine.kernels.decode import DecodeFunction, load_decode_attention
from sizeup_inference.engine.kv_pool import KVPool, Plan, PoolLayout, Span

log = logging.getLogger(__name__)

_TRIAL_SPANS, _TRIAL_KEYS, _TRIAL_RUNS = 16, 128, 5
"""Small enough for a trial of a few milliseconds."""

_TRIAL_MAX_SLOWDOWN = 1.25
"""The kernel is two to five times faster where it helps; a loss below this is noise."""

_TRIAL_TOLERANCE = 1e-4
"""Reordered float32 sums of a hundred terms differ by about 1e-6."""

ATTENTION_NAME = "sizeup_pooled"
"""Value of a model's _attn_implementation that selects `pooled_attention`."""


def pooled_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    kv_pool: KVPool,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from each span of the flat batch to its own sequence's pages.

    `query` is [1, heads, tokens, head_dim]; the result is [1, tokens, heads, head_dim]. `key` and
    `value` are in the pool already; `attention_mask` is always None: the spans define the masks.
    """
    layer: int = module.layer_idx  # type: ignore[assignment]  # set by transformers
    output = query.new_empty(1, query.shape[2], query.shape[1], query.shape[3])
    pool_dtype = kv_pool.keys[layer].dtype
    query = query.to(pool_dtype)
    decoded = 0
    if kv_pool.decode_function is not None:
        decoded = kv_pool.plan.decodes
        _decode(kv_pool, layer, query[0, :, :decoded], output[0, :decoded], scaling, sliding_window)
    for span in kv_pool.plan.spans[decoded:]:
        row = slice(span.row_start, span.row_start + span.length)
        keys, values = kv_pool.read(span, layer)
        attended = _attend(query[:, :, row], keys, values, scaling, sliding_window)
        output[:, row] = attended.transpose(1, 2)
    return output, None


def _decode(
    kv_pool: KVPool,
    layer: int,
    query: torch.Tensor,
    output: torch.Tensor,
    scaling: float | None,
    window: int | None,
) -> None:
    """Attend from the one-token spans in one call of the compiled kernel.

    `query` is [heads, spans, head_dim], `output` [spans, heads, head_dim].
    """
    if not len(output) or kv_pool.decode_function is None:
        return
    keys, values = kv_pool.keys[layer], kv_pool.values[layer]
    queries = query.transpose(0, 1).contiguous()
    attended = torch.empty_like(queries)
    count, heads, head_dim = queries.shape
    bounds = kv_pool.decode_bounds(window)
    failed = kv_pool.decode_function(
        queries.data_ptr(),
        keys.data_ptr(),
        values.data_ptr(),
        attended.data_ptr(),
        bounds[0].data_ptr(),
        bounds[1].data_ptr(),
        count,
        heads,
        keys.shape[1],
        head_dim,
        head_dim**-0.5 if scaling is None else scaling,
        min(keys.shape[1], -(-torch.get_num_threads() // count)),
    )
    if failed:
        raise MemoryError("no memory for attention scores")
    output.copy_(attended)


def _attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """Attend causally within the window; the last query is aligned with the last key."""
    length, kv_length = query.shape[2], keys.shape[2]
    if window is not None and kv_length > window + length - 1:
        # Keys outside the window of the span's first query are outside every query's window.
        keys, values = keys[:, :, 1 - window - length :], values[:, :, 1 - window - length :]
        kv_length = keys.shape[2]
    gqa = query.shape[1] != keys.shape[1]
    mask = None
    if length > 1 and (length != kv_length or window is not None):
        mask = _causal_mask(length, kv_length, window, query.device)
    if gqa and (length == 1 or (mask is not None and query.device.type != "cpu")):
        return _attend_folded(query, keys, values, mask, scaling)
    return scaled_dot_product_attention(
        query,
        keys,
        values,
        attn_mask=mask,
        is_causal=length > 1 and mask is None,
        scale=scaling,
        enable_gqa=gqa,
    )


def _attend_folded(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """Attend with the query heads of a KV head folded into further queries of that head.

    On CUDA a mask with `enable_gqa` leaves only the math kernel, which materializes all scores:
    8 GB in float32 for 512 tokens over 64,000 keys and 64 heads. One query reads each key once.
    """
    group = query.shape[1] // keys.shape[1]
    attended = scaled_dot_product_attention(
        query.reshape(1, keys.shape[1], -1, query.shape[3]),
        keys,
        values,
        attn_mask=None if mask is None else mask.repeat(group, 1),
        scale=scaling,
    )
    return attended.reshape(query.shape)


def _causal_mask(
    length: int, kv_length: int, window: int | None, device: torch.device
) -> torch.Tensor:
    """True where a query attends: bool[length, kv_length], aligned at the bottom right."""
    queries = torch.arange(kv_length - length, kv_length, device=device)[:, None]
    keys = torch.arange(kv_length, device=device)[None, :]
    mask = keys <= queries
    return mask if window is None else mask & (keys > queries - window)


def usable_decode_function(layout: PoolLayout, heads: int) -> DecodeFunction | None:
    """Return the compiled kernel if it was built, reproduces PyTorch's result and is not slower.

    The trial has the sequences and keys of a small batch and the model's own head shape.
    """
    function = load_decode_attention()
    if function is None:
        log.warning(
            "kernel.disabled", extra={"reason": "not built; falling back to PyTorch attention"}
        )
        return None
    trial = PoolLayout(_TRIAL_KEYS * _TRIAL_SPANS, 1, layout.kv_heads, layout.head_dim, True)
    pool = KVPool(trial, torch.float32, [torch.device("cpu")], function)
    generator = torch.Generator().manual_seed(0)
    for tensor in (*pool.keys, *pool.values):
        tensor.normal_(generator=generator)
    query = torch.randn(1, heads, _TRIAL_SPANS, layout.head_dim, generator=generator)
    spans = (Span(i, 1, _TRIAL_KEYS, i * _TRIAL_KEYS) for i in range(_TRIAL_SPANS))
    pool.begin(Plan(tuple(spans), _TRIAL_SPANS, ()))
    compiled, compiled_seconds = _try(pool, query)
    pool.decode_function = None
    plain, plain_seconds = _try(pool, query)
    error = float((compiled - plain).abs().max())
    facts = {"error": error, "seconds": compiled_seconds, "plain_seconds": plain_seconds}
    if error > _TRIAL_TOLERANCE or compiled_seconds > _TRIAL_MAX_SLOWDOWN * plain_seconds:
        log.warning("kernel.disabled", extra=facts)
        return None
    log.info("kernel.enabled", extra=facts)
    return function


def _try(pool: KVPool, query: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the attention's output and the duration of the fastest run in seconds."""
    module = torch.nn.Module()
    module.layer_idx = 0  # type: ignore[assignment]  # set by transformers on attention modules
    seconds = []
    for _ in range(_TRIAL_RUNS):
        started = time.perf_counter()
        output, _ = pooled_attention(module, query, query, query, None, kv_pool=pool)
        seconds.append(time.perf_counter() - started)
    return output, min(seconds)


AttentionInterface.register(ATTENTION_NAME, pooled_attention)
