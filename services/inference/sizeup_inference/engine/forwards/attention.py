"""Attention over the KV pool, registered with transformers by name.

A model runs over one flat batch of tokens from many sequences. It stores their keys and values
through its `past_key_values` and then calls `pooled_attention`, in which every token attends to the
earlier tokens of its own sequence only. Both lead to the StepKV of the step.
"""

from typing import Any, Protocol

import torch
from transformers import AttentionInterface

ATTENTION_NAME = "sizeup_pooled"
"""Value of a model's _attn_implementation that selects `pooled_attention`."""

NO_MASKS = {"full_attention": None, "sliding_attention": None}
"""Attention masks of a model: a dict makes it skip building them."""


class StepKV(Protocol):
    """The keys and values of one step. Its `update` is what models use of a transformers Cache."""

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values [1, kv_heads, tokens, head_dim] and return them unchanged."""

    def attend(
        self, layer: int, query: torch.Tensor, scaling: float | None, window: int | None
    ) -> torch.Tensor:
        """Attend causally, within the window, from [1, heads, tokens, head_dim] to the pool.

        Returns [1, tokens, heads, head_dim].
        """


def pooled_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    step_kv: StepKV,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend through the step's keys and values, which hold `key` and `value` already."""
    layer: int = module.layer_idx  # type: ignore[assignment]  # set by transformers
    return step_kv.attend(layer, query, scaling, sliding_window), None


AttentionInterface.register(ATTENTION_NAME, pooled_attention)
