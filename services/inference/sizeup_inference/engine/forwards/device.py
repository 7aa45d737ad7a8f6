"""What the paged forward pass needs of a device."""

from array import array
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

T = TypeVar("T")


VarlenAttention = Callable[..., torch.Tensor]
"""torch.nn.attention.varlen.varlen_attn over pages.

It attends from [tokens, heads, head_dim] to [pages, page_size, kv_heads, head_dim]. Sequence i has
the queries from cu_seq_q[i] to cu_seq_q[i + 1], int32[sequences + 1], and the first seqused_k[i]
keys, int32[sequences], of the pages block_table[i], int32[sequences, table_width]. Its last query
is aligned with its last key. A query attends to the window_size[0] keys before its own and the
window_size[1] after it, or with -1 to all of them.
"""


class Device(Protocol):
    """Attention, copies and graphs of one device. Used by one thread at a time."""

    page_size: int
    """Tokens in a page, as the attention demands it."""

    attention: VarlenAttention

    def upload(self, values: "array[int] | array[float]") -> torch.Tensor:
        """Start a copy of int32 or float64 values to the device; later work there follows it."""

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Start a copy of a tensor as it is now; the result waits for it. On the CPU."""

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Record what `compute` does on the device; return its result and how to repeat it.

        A repetition reads the same input tensors and writes into the tensors of the result.
        """
