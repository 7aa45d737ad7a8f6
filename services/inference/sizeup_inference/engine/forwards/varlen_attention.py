"""Attention of a whole step in one call a layer, over the pages where they are."""

from typing import Any

import torch

from sizeup_inference.engine.forwards.cuda import VarlenAttention
from sizeup_inference.engine.forwards.step_inputs import StepInputs
from sizeup_inference.engine.kv_pool import KVPool


class VarlenKV:
    """A StepKV on one device."""

    def __init__(self, pool: KVPool, inputs: StepInputs, attention: VarlenAttention) -> None:
        self._pool, self._inputs, self._attention = pool, inputs, attention
        self._slots = inputs.slots.long()

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self._pool.store(layer, self._slots, key, value)
        return key, value

    def attend(
        self, layer: int, query: torch.Tensor, scaling: float | None, window: int | None
    ) -> torch.Tensor:
        keys, values = self._pool.paged(layer)
        shape = self._inputs.shape
        output = self._attention(
            query[0].transpose(0, 1),
            keys,
            values,
            self._inputs.cu_seq_q,
            None,
            shape.max_q,
            shape.table_width * self._pool.layout.page_size,
            scale=scaling,
            window_size=_window_size(window, shape.max_q),
            enable_gqa=query.shape[1] != keys.shape[2],
            seqused_k=self._inputs.seqused_k,
            block_table=self._inputs.block_table,
        )
        return output[None]


def _window_size(window: int | None, max_q: int) -> tuple[int, int]:
    """Return the keys before and after a query's own that it attends to; -1 is all of them.

    A single query has no keys after its own. FlashAttention splits the keys of such a query among
    processors, and reads them once for all heads of a group, only if nothing bounds them.
    """
    if window is None:
        return -1, -1 if max_q == 1 else 0
    return window - 1, 0
