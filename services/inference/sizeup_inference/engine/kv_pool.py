"""The KV pool: keys and values of every running sequence, layer by layer.

A transformers model stores keys and values in it as its `past_key_values`, and attention.py reads
them. The compiled decoder uses its memory with a layout of its own (kernels/c/attention.h).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """Shape of the KV pool: [pages * page_size, kv_heads, head_dim] per layer, keys and values."""

    pages: int
    page_size: int
    kv_heads: int
    head_dim: int

    def bytes_per_page(self, layers: int, dtype: torch.dtype) -> int:
        """Bytes of one page over all layers, keys and values together."""
        return 2 * layers * self.page_size * self.kv_heads * self.head_dim * dtype.itemsize


@dataclass(frozen=True, slots=True)
class Span:
    """The tokens of one sequence in the flat batch, and the location of its keys and values."""

    row_start: int
    length: int
    kv_length: int
    """Keys of the last token: every earlier position and its own."""
    block_table: tuple[int, ...]
    """Pages in token order."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The input of attention for one step."""

    spans: tuple[Span, ...]
    slots: Sequence[int]
    """Pool slot of each token of the flat batch: page * page_size + offset."""


class KVPool:
    """Keys and values of every layer, each on the device of its layer.

    Implements what models use of a transformers Cache: `update`, once per layer and step.
    """

    def __init__(
        self, layout: PoolLayout, dtype: torch.dtype, devices: Sequence[torch.device]
    ) -> None:
        """Reserve the memory; `devices` holds one device per layer. Raises torch's OutOfMemory."""
        self.layout = layout
        shape = (layout.pages * layout.page_size, layout.kv_heads, layout.head_dim)
        # Not zeroed: a slot is written before it is read, and on a CPU the kernel commits the
        # memory of a page on first use.
        self.keys = [torch.empty(shape, dtype=dtype, device=d) for d in devices]
        self.values = [torch.empty(shape, dtype=dtype, device=d) for d in devices]
        self._slots: dict[torch.device, torch.Tensor] = {}
        self._tables: dict[tuple[int, torch.device], torch.Tensor] = {}
        self.plan = Plan((), ())

    def begin(self, plan: Plan) -> None:
        """Set the plan for `update` and `pooled_attention` until the next call."""
        self.plan = plan
        self._slots = {}
        self._tables = {}

    def slots(self, spans: Sequence[Span]) -> list[int]:
        """Return the slot of each token of a flat batch: page * page_size + offset."""
        size = self.layout.page_size
        return [
            span.block_table[p // size] * size + p % size
            for span in spans
            for p in range(span.kv_length - span.length, span.kv_length)
        ]

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values [1, kv_heads, tokens, head_dim] and return them unchanged."""
        slots = self._slots_on(key.device)
        pool_key, pool_value = self.keys[layer], self.values[layer]
        pool_key.index_copy_(0, slots, key[0].transpose(0, 1).to(pool_key.dtype))
        pool_value.index_copy_(0, slots, value[0].transpose(0, 1).to(pool_value.dtype))
        return key, value

    def read(self, span: Span, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a sequence's keys and values as [1, kv_heads, kv_length, head_dim]."""
        keys, values = self.keys[layer], self.values[layer]
        return self._gather(keys, span), self._gather(values, span)

    def _gather(self, pool: torch.Tensor, span: Span) -> torch.Tensor:
        pages = pool.view(self.layout.pages, self.layout.page_size, *pool.shape[1:])
        table = self._table_on(pool.device, span)
        return pages[table].flatten(0, 1)[: span.kv_length].transpose(0, 1)[None]

    def _table_on(self, device: torch.device, span: Span) -> torch.Tensor:
        """Copy a block table to a device once per step: each copy synchronizes with the GPU."""
        key = (span.row_start, device)
        if key not in self._tables:
            self._tables[key] = torch.tensor(span.block_table, device=device)
        return self._tables[key]

    def _slots_on(self, device: torch.device) -> torch.Tensor:
        if device not in self._slots:
            self._slots[device] = torch.tensor(self.plan.slots, device=device)
        return self._slots[device]
