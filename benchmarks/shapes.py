"""Shapes of models, for models with random weights."""

from transformers import Qwen2Config


def _qwen(
    hidden: int,
    intermediate: int,
    layers: int,
    heads: int,
    kv_heads: int,
    *,
    vocab: int = 151936,
    tied: bool = False,
) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=32768,
        tie_word_embeddings=tied,
    )


SHAPES = {
    "smollm2-135m": _qwen(576, 1536, 30, 9, 3, vocab=49152, tied=True),
    "qwen1.5-0.5b": _qwen(1024, 2816, 24, 16, 16, tied=True),
    "qwen1.5-1.8b": _qwen(2048, 5504, 24, 16, 16),
    "qwen1.5-4b": _qwen(2560, 6912, 40, 20, 20),
    "qwen1.5-7b": _qwen(4096, 11008, 32, 32, 32),
    "qwen1.5-14b": _qwen(5120, 13696, 40, 40, 40, vocab=152064),
    "qwen2.5-0.5b": _qwen(896, 4864, 24, 14, 2, tied=True),
    "qwen2.5-1.5b": _qwen(1536, 8960, 28, 12, 2, tied=True),
    "qwen2.5-3b": _qwen(2048, 11008, 36, 16, 2, tied=True),
    "qwen2.5-7b": _qwen(3584, 18944, 28, 28, 4, vocab=152064),
    "qwen2.5-14b": _qwen(5120, 13824, 48, 40, 8, vocab=152064),
}
"""From the config.json of HuggingFaceTB/SmolLM2-135M (as Qwen2) and of the Qwen1.5 and Qwen2.5
models of these sizes."""
