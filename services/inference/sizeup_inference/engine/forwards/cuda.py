"""CUDA: FlashAttention over pages, asynchronous copies, graphs. All code for CUDA alone is here."""

import logging
from array import array
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch.nn.attention.varlen import varlen_attn

T = TypeVar("T")

_DTYPES = {"i": torch.int32, "d": torch.float64}
"""By type code of an array."""

_WARM_UP_RUNS = 2
"""Before a capture, which forbids what first runs do: allocating workspaces, choosing kernels."""

# At INFO it logs every call, one per layer and step.
logging.getLogger("torch.nn.attention.varlen").setLevel(logging.WARNING)


VarlenAttention = Callable[..., torch.Tensor]
"""torch.nn.attention.varlen.varlen_attn over pages.

It attends from [tokens, heads, head_dim] to [pages, page_size, kv_heads, head_dim]. Sequence i has
the queries from cu_seq_q[i] to cu_seq_q[i + 1], int32[sequences + 1], and the first seqused_k[i]
keys, int32[sequences], of the pages block_table[i], int32[sequences, table_width]. Its last query
is aligned with its last key. A query attends to the window_size[0] keys before its own and the
window_size[1] after it, or with -1 to all of them.
"""


class CudaDevice:
    """The one GPU of a process: attention, copies and graphs. Used by one thread at a time."""

    page_size = 256
    """Tokens in a page. FlashAttention 2 in torch's CUDA build: "Paged KV cache block size must be
    divisible by 256"."""

    def __init__(self, device: torch.device) -> None:
        self.attention = cast("VarlenAttention", varlen_attn)
        self._device = device
        self._graph_memory = torch.cuda.graph_pool_handle()
        """Shared by all graphs: one at a time is replayed."""

    def upload(self, values: "array[int] | array[float]") -> torch.Tensor:
        """Start a copy of int32 or float64 values to the device; later work there follows it."""
        # The allocator of pinned memory reuses a block after the copies from it have ended.
        pinned = torch.frombuffer(values, dtype=_DTYPES[values.typecode]).pin_memory()
        return pinned.to(self._device, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Start a copy of a tensor as it is now; the result waits for it. On the CPU."""
        copied = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copied.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))

        def wait() -> torch.Tensor:
            event.synchronize()
            return copied

        return wait

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """Record what `compute` does on the device; return its result and how to repeat it.

        A repetition reads the same input tensors and writes into the tensors of the result.
        """
        # Graphs and their streams belong to the current device, which is GPU 0 in every thread.
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP_RUNS):
                    compute()
            torch.cuda.current_stream(self._device).wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._graph_memory):
                result = compute()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return result, replay
