"""The plain attention: sequence by sequence, over keys and values gathered from its pages.

It runs on every device, in every dtype and over layers on several devices.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from sizeup_inference.engine.kv_pool import KVPool, Span


class GatheredKV:
    """A StepKV over spans of any lengths."""

    def __init__(self, pool: KVPool, spans: Sequence[Span]) -> None:
        self._pool, self._spans = pool, spans
        self._slots: dict[torch.device, torch.Tensor] = {}
        self._tables: dict[tuple[int, torch.device], torch.Tensor] = {}

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self._pool.store(layer, self._slots_on(key.device), key, value)
        return key, value

    def attend(
        self, layer: int, query: torch.Tensor, scaling: float | None, window: int | None
    ) -> torch.Tensor:
        output = query.new_empty(1, query.shape[2], query.shape[1], query.shape[3])
        keys, values = self._pool.paged(layer)
        query = query.to(keys.dtype)
        for span in self._spans:
            row = slice(span.row_start, span.row_start + span.length)
            table = self._table_on(keys.device, span)
            attended = _attend(
                query[:, :, row],
                _gather(keys, table, span.kv_length),
                _gather(values, table, span.kv_length),
                scaling,
                window,
            )
            output[:, row] = attended.transpose(1, 2)
        return output

    def _table_on(self, device: torch.device, span: Span) -> torch.Tensor:
        """Copy a block table to a device once per step: each copy synchronizes with the GPU."""
        key = (span.row_start, device)
        if key not in self._tables:
            self._tables[key] = torch.tensor(span.block_table, device=device)
        return self._tables[key]

    def _slots_on(self, device: torch.device) -> torch.Tensor:
        if device not in self._slots:
            self._slots[device] = torch.tensor(self._pool.slots(self._spans), device=device)
        return self._slots[device]


def _gather(pages: torch.Tensor, table: torch.Tensor, length: int) -> torch.Tensor:
    """Return the first tokens of a sequence's pages: [1, kv_heads, length, head_dim]."""
    return pages[table].flatten(0, 1)[:length].transpose(0, 1)[None]


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
