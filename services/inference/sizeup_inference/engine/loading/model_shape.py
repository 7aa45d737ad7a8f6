"""The parts and sizes of a transformers model that the engine depends on."""

from collections.abc import Sequence

import torch
from torch.distributed.tensor import DTensor
from transformers import PretrainedConfig, PreTrainedModel


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the configuration of the language model, which multimodal models nest."""
    config: PretrainedConfig = model.config.get_text_config()
    return config


def ranks_of(model: PreTrainedModel) -> int:
    """Return how many ranks each hold a part of the model."""
    return model.tp_size or 1


def kv_heads(model: PreTrainedModel) -> int:
    """Return the KV heads of this process: a rank has its part of the model's."""
    heads: int = text_config(model).num_key_value_heads
    return heads // ranks_of(model)


def local_part(weight: torch.Tensor) -> torch.Tensor:
    """Return what this process has of a weight: a rank has its part of a divided one."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def head_dim(config: PretrainedConfig) -> int:
    """Return the size of an attention head: explicit in Qwen3's config, implied in Qwen2's."""
    implied: int = config.hidden_size // config.num_attention_heads
    return getattr(config, "head_dim", None) or implied


def layers_of(model: PreTrainedModel) -> Sequence[torch.nn.Module]:
    return list(model.get_decoder().layers)  # type: ignore[no-untyped-call]
