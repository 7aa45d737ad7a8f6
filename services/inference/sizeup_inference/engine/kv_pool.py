"""The KV pool: keys and values of every running sequence, layer by layer.

The model stores keys and values in it as its `past_key_values`; attention.py reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sizeup_inference.engine.kernels.decode import DecodeFunction
from sizeup_inference.engine.page_allocator import Move


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """Shape of the KV pool: [pages * page_size, kv_heads, head_dim] per layer, keys and values."""

    pages: int
    page_size: int
    kv_heads: int
    head_dim: int
    contiguous: bool
    """Every block table is one run of pages, so a sequence's keys are a view."""

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
    first_slot: int
    """Slot of position 0 when the layout is contiguous."""
    block_table: tuple[int, ...] = ()
    """Pages in token order, when the layout is not contiguous."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The input of attention for one step."""

    spans: tuple[Span, ...]
    decodes: int
    """Leading spans of one token each."""
    slots: Sequence[int]
    """Pool slot of each token of the flat batch: page * page_size + offset."""


class KVPool:
    """Keys and values of every layer, each on the device of its layer.

    Implements what models use of a transformers Cache: `update`, once per layer and step.
    """

    def __init__(
        self,
        layout: PoolLayout,
        dtype: torch.dtype,
        devices: Sequence[torch.device],
        decode_function: DecodeFunction | None = None,
    ) -> None:
        """Reserve the memory; `devices` holds one device per layer. Raises torch's OutOfMemory.

        `decode_function` serves contiguous float32 pools on the CPU only.
        """
        self.layout = layout
        self.decode_function = decode_function
        shape = (layout.pages * layout.page_size, layout.kv_heads, layout.head_dim)
        # Not zeroed: a slot is written before it is read, and on a CPU the kernel commits the
        # memory of a page on first use.
        self.keys = [torch.empty(shape, dtype=dtype, device=d) for d in devices]
        self.values = [torch.empty(shape, dtype=dtype, device=d) for d in devices]
        self._slots: dict[torch.device, torch.Tensor] = {}
        self._bounds: dict[int | None, torch.Tensor] = {}
        self._tables: dict[tuple[int, torch.device], torch.Tensor] = {}
        self.plan = Plan((), 0, ())

    def begin(self, plan: Plan) -> None:
        """Set the plan for `update` and `pooled_attention` until the next call."""
        self.plan = plan
        self._slots = {}
        self._bounds = {}
        self._tables = {}

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values [1, kv_heads, tokens, head_dim] and return them unchanged."""
        slots = self._slots_on(key.device)
        pool_key, pool_value = self.keys[layer], self.values[layer]
        pool_key.index_copy_(0, slots, key[0].transpose(0, 1).to(pool_key.dtype))
        pool_value.index_copy_(0, slots, value[0].transpose(0, 1).to(pool_value.dtype))
        return key, value

    def move(self, moves: Sequence[Move]) -> None:
        """Copy runs of pages in every layer, in order."""
        size = self.layout.page_size
        for move in moves:
            source = slice(move.source * size, (move.source + move.count) * size)
            target = slice(move.target * size, (move.target + move.count) * size)
            for tensor in (*self.keys, *self.values):
                tensor[target] = tensor[source]

    def read(self, span: Span, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a sequence's keys and values as [1, kv_heads, kv_length, head_dim]."""
        keys, values = self.keys[layer], self.values[layer]
        if self.layout.contiguous:
            run = slice(span.first_slot, span.first_slot + span.kv_length)
            return keys[run].transpose(0, 1)[None], values[run].transpose(0, 1)[None]
        return self._gather(keys, span), self._gather(values, span)

    def decode_bounds(self, window: int | None) -> torch.Tensor:
        """Return int64[2, decodes]: first slot and number of keys of each one-token span."""
        if window not in self._bounds:
            spans = self.plan.spans[: self.plan.decodes]
            lengths = [s.kv_length if window is None else min(s.kv_length, window) for s in spans]
            firsts = [s.first_slot + s.kv_length - n for s, n in zip(spans, lengths, strict=True)]
            self._bounds[window] = torch.tensor([firsts, lengths])
        return self._bounds[window]

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
