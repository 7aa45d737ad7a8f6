"""A Qwen2 with random weights, small enough for hundreds of requests in a test."""

from transformers import PreTrainedModel, Qwen2Config

from inference.engine.engines import pooled, random_model

VOCABULARY = 97


def small_config() -> Qwen2Config:
    """Return a new one: models modify their configuration."""
    return Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        use_sliding_window=False,
    )


def small_model() -> PreTrainedModel:
    """Return the model with transformers' attention."""
    return random_model(small_config())


def small_pooled_model() -> PreTrainedModel:
    """Return the same model with the pooled attention."""
    return pooled(random_model(small_config()))
