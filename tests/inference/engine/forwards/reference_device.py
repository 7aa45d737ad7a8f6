"""A CudaDevice on the CPU: varlen_attn's contract in plain torch, and graphs that compute again."""

from array import array
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch.nn.functional import scaled_dot_product_attention

from sizeup_inference.engine.forwards.cuda import CudaDevice

T = TypeVar("T")


def reference_varlen_attn(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: None,
    max_q: int,
    max_k: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
    seqused_k: torch.Tensor,
    block_table: torch.Tensor,
) -> torch.Tensor:
    """Compute torch.nn.attention.varlen.varlen_attn over pages, and check what it demands."""
    assert cu_seq_k is None
    assert {cu_seq_q.dtype, seqused_k.dtype, block_table.dtype} == {torch.int32}
    assert key.shape == value.shape
    assert query.is_contiguous() or query.stride(-1) == 1
    assert enable_gqa == (query.shape[1] != key.shape[2])
    assert window_size[1] == 0 or (window_size == (-1, -1) and max_q == 1)
    assert len(cu_seq_q) == len(seqused_k) + 1 == len(block_table) + 1
    assert int(cu_seq_q[-1]) == len(query)
    output = torch.empty_like(query)
    for i, used in enumerate(seqused_k.tolist()):
        start, end = cu_seq_q[i : i + 2].tolist()
        assert 0 < end - start <= max_q
        assert end - start <= used <= max_k
        keys, values = (t[block_table[i].long()].flatten(0, 1)[:used] for t in (key, value))
        distance = torch.arange(used - (end - start), used)[:, None] - torch.arange(used)
        mask = distance >= 0
        if window_size[0] >= 0:
            mask &= distance <= window_size[0]
        attended = scaled_dot_product_attention(
            query[None, start:end].transpose(1, 2),
            keys[None].transpose(1, 2),
            values[None].transpose(1, 2),
            attn_mask=mask,
            scale=scale,
            enable_gqa=enable_gqa,
        )
        output[start:end] = attended[0].transpose(0, 1)
    return output


class ReferenceDevice(CudaDevice):
    """Pages of any size; counts the graphs that are captured and replayed."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.attention: Any = reference_varlen_attn
        self.captured = self.replayed = 0

    def upload(self, values: "array[int] | array[float]") -> torch.Tensor:
        dtype = torch.int32 if values.typecode == "i" else torch.float64
        return torch.tensor(values, dtype=dtype)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        copied = tensor.clone()
        return lambda: copied

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Return what a graph does: a repetition writes into the tensors of the first result."""
        result: Any = compute()
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            again = compute()
            for field in fields(result):
                getattr(result, field.name).copy_(getattr(again, field.name))

        return result, replay
