"""Shapes of models with random weights: every kind of attention, small enough to run in a test.

Two ranks divide the heads of each, and not the vocabulary.
"""

import copy
from collections.abc import Mapping
from typing import Any

from transformers import LlamaConfig, PretrainedConfig, Qwen2Config, Qwen3Config

VOCABULARY = 97
"""One token more than six panels of a packed matrix."""

_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "max_position_embeddings": 1024,
}


def _heads(heads: int, kv_heads: int, head_dim: int, *, tied: bool) -> dict[str, Any]:
    return _SHAPE | {
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "tie_word_embeddings": tied,
    }


_CONFIGS: Mapping[str, PretrainedConfig] = {
    "qwen2-mha-tied": Qwen2Config(**_heads(4, 4, 32, tied=True)),
    "qwen2-gqa7-untied": Qwen2Config(**_heads(14, 2, 32, tied=False)),
    "qwen2-sliding": Qwen2Config(
        **_heads(4, 2, 32, tied=True),
        use_sliding_window=True,
        sliding_window=40,
        max_window_layers=1,
    ),
    "qwen3-gqa4-tied": Qwen3Config(**_heads(8, 2, 64, tied=True)),
    "qwen3-gqa2-untied": Qwen3Config(**_heads(4, 2, 128, tied=False)),
    "llama-gqa2-untied": LlamaConfig(
        **_heads(4, 2, 32, tied=False),
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
    ),
}
NAMES = tuple(_CONFIGS)


def random_config(name: str) -> PretrainedConfig:
    """Return a new one: models modify their configuration."""
    return copy.deepcopy(_CONFIGS[name])
