"""CUDA: FlashAttention over pages, asynchronous copies, graphs. All code for CUDA alone is here."""

import logging
from array import array
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch.nn.attention.varlen import varlen_attn

from sizeup_inference.engine.forwards.device import VarlenAttention

T = TypeVar("T")

_DTYPES = {"i": torch.int32, "d": torch.float64}
"""By type code of an array."""

_WARM_UP_RUNS = 2
"""Before a capture, which forbids what first runs do: allocating workspaces, choosing kernels."""

# At INFO it logs every call, one per layer and step.
logging.getLogger("torch.nn.attention.varlen").setLevel(logging.WARNING)


class CudaDevice:
    """The Device of a process's one GPU."""

    page_size = 256
    """FlashAttention 2 in torch's CUDA build: "Paged KV cache block size must be divisible by
    256"."""

    def __init__(self, device: torch.device) -> None:
        self.attention = cast("VarlenAttention", varlen_attn)
        self._device = device
        self._graph_memory = torch.cuda.graph_pool_handle()
        """Shared by all graphs: one at a time is replayed."""

    def upload(self, values: "array[int] | array[float]") -> torch.Tensor:
        # The allocator of pinned memory reuses a block after the copies from it have ended.
        pinned = torch.frombuffer(values, dtype=_DTYPES[values.typecode]).pin_memory()
        return pinned.to(self._device, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        copied = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copied.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))

        def wait() -> torch.Tensor:
            event.synchronize()
            return copied

        return wait

    def capture(self, compute: Callable[[], T]) -> tuple[T, Callable[[], None]]:
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
