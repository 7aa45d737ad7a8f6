"""Attention over the KV pool, registered with transformers by name.

The model runs over one flat batch of tokens from many sequences. It stores keys and values in the
pool (its `past_key_values`) and then calls `pooled_attention`, in which every token attends to the
earlier tokens of its own sequence only.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from sizeup_inference.engine.kv_pool import KVPool

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
    for span in kv_pool.plan.spans:
        row = slice(span.row_start, span.row_start + span.length)
        keys, values = kv_pool.read(span, layer)
        attended = _attend(query[:, :, row], keys, values, scaling, sliding_window)
        output[:, row] = attended.transpose(1, 2)
    return output, None


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


AttentionInterface.register(ATTENTION_NAME, pooled_attention)
