"""The KV pool: keys and values of every running sequence, layer by layer.

The compiled decoder uses its memory with a layout of its own (kernels/c/attention.h).
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


class KVPool:
    """Keys and values of every layer, each on the device of its layer."""

    def __init__(
        self,
        layout: PoolLayout,
        dtype: torch.dtype,
        devices: Sequence[torch.device],
        *,
        padding_pages: int = 0,
    ) -> None:
        """Reserve the memory; `devices` holds one device per layer. Raises torch's OutOfMemory.

        Padding pages follow those of the layout: what a padded batch stores and reads in them is
        of no meaning.
        """
        self.layout = layout
        pages = layout.pages + padding_pages
        shape = (pages * layout.page_size, layout.kv_heads, layout.head_dim)
        # Not zeroed: a slot is written before it is read, and on a CPU the kernel commits the
        # memory of a page on first use.
        self.keys = [torch.empty(shape, dtype=dtype, device=d) for d in devices]
        self.values = [torch.empty(shape, dtype=dtype, device=d) for d in devices]

    def slots(self, spans: Sequence[Span]) -> list[int]:
        """Return the slot of each token of a flat batch: page * page_size + offset."""
        size = self.layout.page_size
        return [
            span.block_table[p // size] * size + p % size
            for span in spans
            for p in range(span.kv_length - span.length, span.kv_length)
        ]

    def store(
        self, layer: int, slots: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> None:
        """Store keys and values [1, kv_heads, tokens, head_dim] at slots, int64[tokens]."""
        for pool, new in ((self.keys[layer], key), (self.values[layer], value)):
            pool.index_copy_(0, slots, new[0].transpose(0, 1).to(pool.dtype))

    def paged(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return views of a layer's keys and values: [pages, page_size, kv_heads, head_dim]."""
        keys, values = self.keys[layer], self.values[layer]
        shape = (-1, self.layout.page_size, *keys.shape[1:])
        return keys.view(shape), values.view(shape)
