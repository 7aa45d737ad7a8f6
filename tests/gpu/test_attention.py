"""torch's varlen_attn has the contract that the tests on a CPU assume."""

from typing import Any

import pytest
import torch

from inference.engine.forwards.reference_device import reference_varlen_attn
from sizeup_inference.engine.forwards.cuda import CudaDevice

pytestmark = pytest.mark.gpu

MIXED = [1, 1, 40, 300, 5]
"""Tokens of each sequence in a step of decodes and prefills."""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("window", "lengths"),
    [*[((before, 0), MIXED) for before in (-1, 0, 7, 300)], ((-1, -1), [1] * len(MIXED))],
)
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(4, 4, 64), (14, 2, 64), (8, 1, 128)])
def test_varlen_attn_is_the_reference(
    gpu: torch.device,
    dtype: torch.dtype,
    window: tuple[int, int],
    lengths: list[int],
    heads: int,
    kv_heads: int,
    head_dim: int,
) -> None:
    torch.manual_seed(1)
    device = CudaDevice(gpu)
    contexts, pages, width = [1, 700, 40, 600, 261], 20, 3
    keys, values = (
        torch.randn(pages, device.page_size, kv_heads, head_dim, dtype=dtype, device=gpu)
        for _ in range(2)
    )
    query = torch.randn(sum(lengths), heads, head_dim, dtype=dtype, device=gpu)
    ends = torch.tensor([0, *lengths], device=gpu).cumsum(0).int()
    table = torch.randperm(pages, device=gpu)[: len(lengths) * width].view(-1, width).int()
    inputs: dict[str, Any] = {
        "cu_seq_q": ends,
        "cu_seq_k": None,
        "max_q": max(lengths),
        "max_k": width * device.page_size,
        "scale": head_dim**-0.5,
        "window_size": window,
        "enable_gqa": heads != kv_heads,
        "seqused_k": torch.tensor(contexts, dtype=torch.int32, device=gpu),
        "block_table": table,
    }
    actual = device.attention(query, keys, values, **inputs)
    expected = reference_varlen_attn(query.float(), keys.float(), values.float(), **inputs)
    torch.testing.assert_close(actual.float(), expected, atol=0.02, rtol=0.02)
