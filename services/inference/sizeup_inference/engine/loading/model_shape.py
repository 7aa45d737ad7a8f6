"""The parts and sizes of a transformers model that the engine depends on."""

from collections.abc import Sequence

import torch
from transformers import PretrainedConfig, PreTrainedModel


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the configuration of the language model, which multimodal models nest."""
    config: PretrainedConfig = model.config.get_text_config()
    return config


def head_dim(config: PretrainedConfig) -> int:
    """Return the size of an attention head: explicit in Qwen3's config, implied in Qwen2's."""
    implied: int = config.hidden_size // config.num_attention_heads
    return getattr(config, "head_dim", None) or implied


def layers_of(model: PreTrainedModel) -> Sequence[torch.nn.Module]:
    """Return the decoder layers in order."""
    return list(model.get_decoder().layers)  # type: ignore[no-untyped-call]
